"""Where the stores are: DATABASE_URL as Django's settings, and the socket of the embedded Valkey."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from enrichlabs.mongodb import url as mongodb_url

# WAL lets readers go on while somebody writes; FULL makes a commit survive a power cut; IMMEDIATE takes the write lock
# at once, because a transaction that reads first and writes later fails under several writers whatever it waits.
SQLITE_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000; PRAGMA temp_store=MEMORY"

# What the URL does not say. The driver waits for half a minute for a server, and for ever for an answer.
MONGODB_OPTIONS = {
    "serverSelectionTimeoutMS": 5000,
    "connectTimeoutMS": 5000,
    "socketTimeoutMS": 30000,
    # A server is asked so often whether it lives. One that falls silent is given up after this and connectTimeoutMS, and then
    # whoever waits for it is told; before that, a healed connection goes on only when the system next sends what was lost.
    "heartbeatFrequencyMS": 2000,
}
MONGODB_NAME = "enrichlabs"

MOST_SOCKET_BYTES = 100


def database(url: str, data: Path) -> dict[str, Any]:
    """Return the settings of the store at `url`: SQLite (in the folder `data` where `url` is empty) or MongoDB.

    Raises ImproperlyConfigured for any other scheme, and for a URL that can't be read.
    """
    scheme = url.partition(":")[0] if ":" in url else ""
    if not url or scheme == "sqlite":
        return _sqlite(Path(urlsplit(url).path) if url else data / "enrichlabs.sqlite3")
    if scheme in ("mongodb", "mongodb+srv"):
        return _mongodb(url)
    raise ImproperlyConfigured(f"DATABASE_URL starts with {scheme!r}, but must start with sqlite:, mongodb: or mongodb+srv:.")


def valkey_socket(data: Path) -> Path:
    """Return where the embedded Valkey listens: in the data folder, unless that path is too long for a socket (107 bytes)."""
    path = data / "valkey.sock"
    if len(bytes(path)) <= MOST_SOCKET_BYTES:
        return path
    name = hashlib.sha256(bytes(data)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"enrichlabs-{name}" / "valkey.sock"


def _sqlite(path: Path) -> dict[str, Any]:
    options = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": SQLITE_PRAGMAS}
    return {
        "ENGINE": "enrichlabs.sqlite",
        "NAME": str(path),
        "OPTIONS": options,
        "CONN_MAX_AGE": None,
        # A file, as in production: threads of a test see each other's work only through one.
        "TEST": {"NAME": str(path.with_name("test.sqlite3"))},
    }


def _mongodb(url: str) -> dict[str, Any]:
    name, said = mongodb_url.parts(url)
    # What stands in OPTIONS wins over the URL: so nothing must that the URL may say.
    options = {option: value for option, value in MONGODB_OPTIONS.items() if option.lower() not in said}
    return {
        "ENGINE": "enrichlabs.mongodb",
        "HOST": url,
        "NAME": name or MONGODB_NAME,
        "OPTIONS": {**options, "tz_aware": False},  # Django makes aware what it reads
    }
