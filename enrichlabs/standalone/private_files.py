"""Keeps the store, the secrets and the queue files readable for their owner alone."""

import logging
import stat
from pathlib import Path

from django.conf import settings

log = logging.getLogger(__name__)

SQLITE_HEADER = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html


def restrict_all() -> None:
    """Take away the access that an earlier start, or a copy, may have left to other users."""
    for path in _private_paths():
        try:
            if is_open(path):
                path.chmod(0o700 if path.is_dir() else 0o600)
                log.warning("Other users had access to %s; it is now restricted to its owner", path)
        except FileNotFoundError:
            continue
        except OSError:
            text = "Other users have access to %s. Run this as its owner: chmod go= %s"
            log.warning(text, path, path)


def _private_paths() -> list[Path]:
    paths = [settings.SECRETS, settings.DATA / "appendonlydir"]
    if settings.DATA == settings.BASE_DIR / "var":  # any other folder may be shared, as /tmp is
        paths.append(settings.DATA)
    if not settings.ON_MONGODB:
        store = Path(settings.DATABASES["default"]["NAME"])
        if _is_store(store):
            paths += [store, *(store.with_name(f"{store.name}-{end}") for end in ("wal", "shm"))]
    return paths


def _is_store(path: Path) -> bool:
    """Whether it may be a SQLite store. A wrong DATABASE_URL may name any file."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_HEADER)) in (b"", SQLITE_HEADER)
    except OSError:  # another user's
        return True


def warn_if_open(folder: Path) -> None:
    """Raises OSError."""
    if is_open(folder):
        text = "Other users have access to the data folder %s. Run: chmod 700 %s"
        log.warning(text, folder, folder)


def is_open(path: Path) -> bool:
    """Return whether other users have any access to the file or folder. Raises OSError."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
