"""The installation's secrets: from the environment, or generated at the first start and kept in the
data folder.
"""

import logging
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from enrichlabs.config import environment as env

log = logging.getLogger(__name__)

MIN_LENGTH = 16  # of a secret in the environment
MIN_KEPT_LENGTH = 32  # of a secret in a file; we generate 64 characters, so less means damage
MAX_KEPT_BYTES = 4096
LOSS = {
    "secret_key": "console users must then log in again",
    "callback_secret": "callbacks of open jobs are then refused",
    "admin_password": "it is only used while there is no user admin",
}


def secret_key(folder: Path) -> str:
    """Return SECRET_KEY or, if it is unset, the one kept in `folder`."""
    if env.text("SECRET_KEY").strip():
        return env.read("SECRET_KEY", "", _long_enough)
    return env.attempt(lambda: kept(folder / "secret_key"), "")


def callback_secrets(folder: Path) -> list[str]:
    """Return the comma-separated CALLBACK_SECRETS or, if it is unset, the one kept in `folder`."""
    if env.text("CALLBACK_SECRETS").strip():
        return env.read("CALLBACK_SECRETS", [], _each_long_enough)
    return env.attempt(lambda: [kept(folder / "callback_secret")], [])


def _long_enough(value: str) -> str:
    if len(value) < MIN_LENGTH:
        raise ValueError(
            f"is too short: it needs at least {MIN_LENGTH} characters. Generate one with "
            "openssl rand -base64 36."
        )
    return value


def _each_long_enough(value: str) -> list[str]:
    parts = [part.strip() for part in value.split(",") if part.strip()]
    return [_long_enough(part) for part in parts or [""]]


def kept(path: Path) -> str:
    """Return the secret in the file; generate it if there is none. Raises ImproperlyConfigured."""
    if not os.path.lexists(path):
        _generate(path)
    try:
        # Non-blocking: opening a pipe would wait for a writer.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            _make_private(path, file.fileno())
            content = file.read(MAX_KEPT_BYTES + 1)
    except OSError as error:
        raise _refused(path, f"can't be read ({error.strerror})") from None
    with suppress(UnicodeDecodeError):
        secret = content.decode().strip()
        if not secret:
            raise _refused(path, "is empty")
        if len(secret) < MIN_KEPT_LENGTH:
            raise _refused(path, f"is truncated: it has fewer than {MIN_KEPT_LENGTH} characters")
        if secret.isprintable() and len(content) <= MAX_KEPT_BYTES:
            return secret
    raise _refused(path, "is not one line of text")


def _make_private(path: Path, file: int) -> None:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path, "is not a file")
    if os.geteuid() not in (0, status.st_uid):
        raise _refused(path, "belongs to another user")
    if status.st_mode & 0o077:
        os.fchmod(file, 0o600)
        log.warning(
            "Other users could read the secret file %s; now only its owner can. If it may have "
            "been read, replace it.",
            path,
        )


def _refused(path: Path, what: str) -> ImproperlyConfigured:
    loss = f" ({LOSS[path.name]})" if path.name in LOSS else ""
    return ImproperlyConfigured(
        f"The secret file {path} {what}. Restore it from a backup, or remove it and the next start "
        f"generates a new one{loss}."
    )


def _generate(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        # A link is atomic and fails if the name exists: of several first starts, one wins.
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        _fsync(folder)


def _fsync(folder: Path) -> None:
    """Make the names of new files in the folder survive a power cut."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
