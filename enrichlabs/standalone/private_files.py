"""Keeps the store, the secrets and the queue files readable for their owner alone."""

import logging
import stat
from pathlib import Path

from django.conf import settings

log = logging.getLogger(__name__)


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
        store = settings.DATABASES["default"]["NAME"]
        paths += [Path(f"{store}{suffix}") for suffix in ("", "-wal", "-shm")]
    return paths


def warn_if_open(folder: Path) -> None:
    """Raises OSError."""
    if is_open(folder):
        text = "Other users have access to the data folder %s. Run: chmod 700 %s"
        log.warning(text, folder, folder)


def is_open(path: Path) -> bool:
    """Return whether other users have any access to the file or folder. Raises OSError."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
