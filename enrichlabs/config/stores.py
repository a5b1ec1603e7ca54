"""Turns DATABASE_URL into Django's settings, and chooses the embedded Valkey's socket."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from enrichlabs.mongodb import url as mongodb_url

# WAL lets readers continue during a write. FULL makes commits survive a power cut.
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000; "
    "PRAGMA temp_store=MEMORY"
)
SQLITE_TIMEOUT_SECONDS = 20

# Used for options that are not in the URL. The driver's defaults wait 30 s for a server, and
# forever for a reply.
MONGODB_OPTIONS = {
    "serverSelectionTimeoutMS": 5000,
    "connectTimeoutMS": 5000,
    "socketTimeoutMS": 30000,
    # A server that falls silent is given up after this and connectTimeoutMS, and waiting calls
    # fail. Without it they wait until TCP next retransmits what was lost.
    "heartbeatFrequencyMS": 2000,
}
MONGODB_DATABASE = "enrichlabs"  # if the URL names none

MAX_SOCKET_BYTES = 100  # Linux allows 107


def database(url: str, data: Path) -> dict[str, Any]:
    """Return Django's settings for the store at `url`: MongoDB or SQLite. If empty, it is SQLite in
    the folder `data`.

    Raises ImproperlyConfigured for another scheme or an invalid URL.
    """
    scheme = url.partition(":")[0] if ":" in url else ""
    if not url or scheme == "sqlite":
        return _sqlite(_sqlite_path(url) if url else data / "enrichlabs.sqlite3")
    if scheme in ("mongodb", "mongodb+srv"):
        return _mongodb(url)
    raise ImproperlyConfigured(
        f"DATABASE_URL starts with {scheme!r}, but must start with sqlite:, mongodb: or "
        "mongodb+srv:."
    )


def _sqlite_path(url: str) -> Path:
    remedy = "Write the full path of a file, URL-encoded: sqlite:////srv/my%20data/jobs.sqlite3"
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc:
        raise ImproperlyConfigured(
            f"DATABASE_URL names a host, which SQLite does not have. {remedy}"
        )
    if "?" in url or "#" in url:
        raise ImproperlyConfigured(
            "DATABASE_URL has a ? or #. In a path, write %3F or %23; there are no options. "
            f"{remedy}"
        )
    is_full = path.startswith("/") and not path.startswith("/~") and path.isprintable()
    if not is_full or path.endswith(("/", "/:memory:")):
        raise ImproperlyConfigured(f"DATABASE_URL does not name a SQLite file. {remedy}")
    return Path("/" + path.lstrip("/"))


def valkey_socket(data: Path, is_used: bool = True) -> Path:
    """Return the embedded Valkey's socket: in the data folder, or in a temporary one if its path is
    too long for a socket.

    Raises ImproperlyConfigured if it is used and another user could have created the folder.
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
    """Refuse an existing folder that is not private: every user can create one there."""
    try:
        status = os.lstat(folder)
    except OSError:
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise ImproperlyConfigured(
            f"{folder}, for the socket of the embedded Valkey, is not a folder of this user's own "
            "with mode 0700. Remove it, or set ENRICHLABS_DATA to a shorter path."
        )


def _sqlite(path: Path) -> dict[str, Any]:
    # IMMEDIATE takes the write lock at once. A transaction that reads first and writes later would
    # fail when there are several writers, whatever its timeout.
    options = {
        "transaction_mode": "IMMEDIATE",
        "timeout": SQLITE_TIMEOUT_SECONDS,
        "init_command": SQLITE_PRAGMAS,
    }
    return {
        "ENGINE": "enrichlabs.sqlite",
        "NAME": str(path),
        "OPTIONS": options,
        "CONN_MAX_AGE": None,
        # A file, so that the threads of a test share it, as in production.
        "TEST": {"NAME": str(path.with_name("test.sqlite3"))},
    }


def _mongodb(url: str) -> dict[str, Any]:
    name, in_url = mongodb_url.parts(url)
    # OPTIONS would override the URL, so leave out what the URL has.
    options = {key: value for key, value in MONGODB_OPTIONS.items() if key.lower() not in in_url}
    return {
        "ENGINE": "enrichlabs.mongodb",
        "HOST": url,
        "NAME": name or MONGODB_DATABASE,
        "OPTIONS": {**options, "tz_aware": False},  # Django makes datetimes aware
    }
