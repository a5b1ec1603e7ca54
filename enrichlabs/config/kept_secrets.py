"""Secrets of this installation: set by the environment, or made at the first start and kept in the
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

SHORTEST = 16  # characters of a secret from the environment
MIN_KEPT = 32  # of one in a file: what we make has 64, and a shorter file was damaged
MAX_KEPT = 4096
LOSS = {
    "secret_key": "users of the console must then log in again",
    "callback_secret": "callbacks of jobs under way are then refused",
    "admin_password": "it matters only while there is no user admin",
}


def secret_key(folder: Path) -> str:
    """Return SECRET_KEY or, where it is unset, the one that is kept in `folder`."""
    if env.text("SECRET_KEY").strip():
        return env.read("SECRET_KEY", "", _long_enough)
    return env.attempt(lambda: kept(folder / "secret_key"), "")


def callback_secrets(folder: Path) -> list[str]:
    """Return the comma-separated CALLBACK_SECRETS or, where it is unset, the one that is kept in
    `folder`.
    """
    if env.text("CALLBACK_SECRETS").strip():
        return env.read("CALLBACK_SECRETS", [], _each_long_enough)
    return env.attempt(lambda: [kept(folder / "callback_secret")], [])


def _long_enough(value: str) -> str:
    if len(value) < SHORTEST:
        raise ValueError(
            f"can be guessed: it needs {SHORTEST} characters or more. openssl rand -base64 36 makes a good one."
        )
    return value


def _each_long_enough(value: str) -> list[str]:
    return [_long_enough(part.strip()) for part in value.split(",") if part.strip()] or [
        _long_enough("")
    ]


def kept(path: Path) -> str:
    """Return what the file holds; a file that is not there is made, with a fresh secret. Raises
    ImproperlyConfigured.
    """
    if not os.path.lexists(path):
        _make(path)
    try:
        # A pipe would not open until somebody writes to it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            _make_private(path, file.fileno())
            content = file.read(MAX_KEPT + 1)
    except OSError as error:
        raise _refused(path, f"can't be read ({error.strerror})") from None
    with suppress(UnicodeDecodeError):
        secret = content.decode().strip()
        if not secret:
            raise _refused(path, "is empty")
        if len(secret) < MIN_KEPT:
            raise _refused(path, f"was cut short: it has fewer than {MIN_KEPT} characters")
        if secret.isprintable() and len(content) <= MAX_KEPT:
            return secret
    raise _refused(path, "does not hold one line of text")


def _make_private(path: Path, file: int) -> None:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path, "is not a file")
    if os.geteuid() not in (0, status.st_uid):
        raise _refused(path, "belongs to another user")
    if status.st_mode & 0o077:
        os.fchmod(file, 0o600)
        log.warning(
            "The secret file %s could be read by other users; now only its owner can. If one may have, replace it.",
            path,
        )


def _refused(path: Path, what: str) -> ImproperlyConfigured:
    loss = f" ({LOSS[path.name]})" if path.name in LOSS else ""
    return ImproperlyConfigured(
        f"The secret file {path} {what}. Restore it from a backup, or remove it and the next start makes a new one{loss}."
    )


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        # A link is made whole or not at all, and refuses an existing name: of several first starts,
        # one wins.
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        _fsync(folder)


def _fsync(folder: Path) -> None:
    """Have a power cut leave the names of new files in the folder."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
