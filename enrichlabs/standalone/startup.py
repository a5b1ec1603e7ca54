"""What a process does before it starts. What keeps it from starting is one line with a remedy."""

import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

import django
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from enrichlabs import logs
from enrichlabs.config import environment as env
from enrichlabs.standalone import preflight, private_files

SETTINGS_TAG = "settings"  # of the system checks that contact no server


class StartupError(Exception):
    """Why EnrichLabs can't start. The text is one line and says what to do."""


def report(error: Exception) -> None:
    """Write each line of the error to standard error."""
    for line in str(error).splitlines():
        logs.say(line)


def read_settings() -> None:
    """Read the settings, which creates the data folder and the secrets in it.

    Raises StartupError.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
    try:
        if not settings.ON_MONGODB and not settings.DATABASE_URL:
            settings.DATA.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable_folder(env.text("ENRICHLABS_DATA", "var"), error) from None
    except ImproperlyConfigured as error:
        raise StartupError(str(error)) from None


def load_settings() -> None:
    """Set Django up and check that its settings can be used. Raises StartupError."""
    read_settings()
    try:
        django.setup()
    except ImproperlyConfigured as error:
        raise StartupError(str(error)) from None
    except ValueError as error:
        reason = error.__cause__ or error
        raise StartupError(
            f"The settings can't be read ({reason}). Compare the environment with .env.example."
        ) from None
    private_files.restrict_all()
    for issue in run_checks(tags=[SETTINGS_TAG]):
        if issue.is_serious():
            raise StartupError(f"{issue.msg} {issue.hint}")


@contextmanager
def locked_data_folder() -> Iterator[IO[str]]:
    """Lock the data folder, and yield the lock file. The lock lasts while any process has that file
    open. Raises StartupError.
    """
    try:
        settings.DATA.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=settings.DATA).close()
        private_files.warn_if_open(settings.DATA)
        lock = (settings.DATA / "lock").open("w")
    except OSError as error:
        raise _unusable_folder(settings.DATA, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartupError(
                f"Another server is running on the data folder {settings.DATA}. "
                "Stop it, or set ENRICHLABS_DATA and PORT for a second one."
            ) from None
        yield lock


def _unusable_folder(folder: object, error: OSError) -> StartupError:
    return StartupError(
        f"The data folder {folder} can't be used ({error.strerror}). "
        "Make it writable for this user, or set ENRICHLABS_DATA to another folder."
    )


def check_ports(ports: dict[str, tuple[str, int]]) -> None:
    """Check that each named (host, port) is free. Raises StartupError."""
    with ExitStack() as sockets:
        for name, (host, port) in ports.items():
            sockets.enter_context(_bind(name, host, port))


def _bind(name: str, host: str, port: int) -> socket.socket:
    if not 0 < port < 65536:
        raise StartupError(f"{name} is {port}, but must be between 1 and 65535.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartupError(
                f"{name} {port} is already in use on {host}. "
                f"Stop the process that listens there, or set {name} to a free port."
            ) from None
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise StartupError(
            f"Can't listen on {name} {port} of {host} ({reason}). Correct HOST or {name}."
        ) from None


def check_store() -> None:
    """Check that the store answers and that this version can use it. Raises StartupError."""
    if fault := preflight.store_fault():
        raise StartupError(str(fault))


def refuse_old_store() -> None:
    """Raise StartupError for a store that 0.1.0 wrote. A store that is away is not a fault here."""
    fault = preflight.old_store_fault()
    connection.close()
    if fault:
        raise StartupError(str(fault))


def check_redis() -> None:
    """Check that the server of REDIS_URL can be used. Raises StartupError."""
    if fault := preflight.redis_fault():
        raise StartupError(f"{fault} Unset REDIS_URL to use the embedded Valkey.")
