"""Where the stores are: DATABASE_URL as Django's settings, and the socket of the embedded Valkey."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from enrichlabs.mongodb import url as mongodb_url

# WAL lets readers go on while somebody writes; FULL makes a commit survive a power cut; IMMEDIATE
# takes the write lock at once, because a transaction that reads first and writes later fails under
# several writers whatever it waits.
SQLITE_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000; PRAGMA temp_store=MEMORY"

# What the URL does not say. The driver waits for half a minute for a server, and for ever for an
# answer.
MONGODB_OPTIONS = {
    "serverSelectionTimeoutMS": 5000,
    "connectTimeoutMS": 5000,
    "socketTimeoutMS": 30000,
    # A server is asked so often whether it lives. One that falls silent is given up after this and
    # connectTimeoutMS, and then whoever waits for it is told; before that, a healed connection goes
    # on only when the system next sends what was lost.
    "heartbeatFrequencyMS": 2000,
}
MONGODB_NAME = "enrichlabs"

MAX_SOCKET_BYTES = 100


def database(url: str, data: Path) -> dict[str, Any]:
    """Return the settings of the store at `url`: SQLite (in the folder `data` where `url` is empty)
    or MongoDB.

    Raises ImproperlyConfigured for any other scheme, and for a URL that can't be read.
    """
    scheme = url.partition(":")[0] if ":" in url else ""
    if not url or scheme == "sqlite":
        return _sqlite(_sqlite_path(url) if url else data / "enrichlabs.sqlite3")
    if scheme in ("mongodb", "mongodb+srv"):
        return _mongodb(url)
    raise ImproperlyConfigured(
        f"DATABASE_URL starts with {scheme!r}, but must start with sqlite:, mongodb: or mongodb+srv:."
    )


def _sqlite_path(url: str) -> Path:
    whole = "Write the whole path of a file, with % for what a URL can't hold: sqlite:////srv/my%20data/jobs.sqlite3"
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc:
        raise ImproperlyConfigured(f"DATABASE_URL names a host, which SQLite has not. {whole}")
    if "?" in url or "#" in url:
        raise ImproperlyConfigured(
            f"DATABASE_URL has a ? or #, which would be %3F or %23 in a path, and options are not read. {whole}"
        )
    if (
        not path.startswith("/")
        or path.startswith("/~")
        or path.endswith(("/", "/:memory:"))
        or not path.isprintable()
    ):
        raise ImproperlyConfigured(f"DATABASE_URL names no file for SQLite. {whole}")
    return Path("/" + path.lstrip("/"))


def valkey_socket(data: Path, is_used: bool = True) -> Path:
    """Return where the embedded Valkey listens: in the data folder, unless that path is too long
    for a socket (107 bytes).

    Raises ImproperlyConfigured where it is used and somebody else could have put a socket in its
    place.
    """
    path = data / "valkey.sock"
    if len(bytes(path)) <= MAX_SOCKET_BYTES:
        return path
    name = hashlib.sha256(bytes(data)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"enrichlabs-{name}"
    if is_used:
        _check_private(folder)
    return folder / "valkey.sock"


def _check_private(folder: Path) -> None:
    """The folder lies among other people's: one that is there must be ours, and closed to them."""
    try:
        status = os.lstat(folder)
    except OSError:
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise ImproperlyConfigured(
            f"{folder}, for the socket of the embedded Valkey, is not a folder of this user's own with mode 0700. "
            "Remove it, or set ENRICHLABS_DATA to a shorter path."
        )


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
    options = {
        option: value for option, value in MONGODB_OPTIONS.items() if option.lower() not in said
    }
    return {
        "ENGINE": "enrichlabs.mongodb",
        "HOST": url,
        "NAME": name or MONGODB_NAME,
        "OPTIONS": {**options, "tz_aware": False},  # Django makes aware what it reads
    }
