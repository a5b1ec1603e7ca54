"""What can keep the server from running: each is said in one line, with what to do about it."""

import errno
import fcntl
import logging
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import django
import pymongo
import redis
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from enrichlabs import logs
from enrichlabs.config import environment as env
from jobs.queue.redis import connect
from jobs.storage.errors import explain, server_address
from jobs.storage.store import STORE_ERRORS

log = logging.getLogger(__name__)

OF_SETTINGS = "settings"  # the tag of those system checks that ask no server
ANSWER_SECONDS = 3.0
OLDEST_REDIS = 7


class Obstacle(Exception):  # noqa: N818 - it is told, not handled
    """Why the server can't run, in one line that says what to do."""


def tell(error: Exception) -> None:
    """Say to standard error what is in the way, in one line for each fault."""
    for line in str(error).splitlines():
        logs.say(line)


def read_settings() -> None:
    """Have Django read its settings, which make the data folder and keep the secrets of this
    installation there.

    Raises Obstacle.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
    try:
        if not settings.ON_MONGODB and not settings.DATABASE_URL:
            settings.DATA.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(env.text("ENRICHLABS_DATA", "var"), error) from None
    except ImproperlyConfigured as error:
        raise Obstacle(str(error)) from None


def close_to_others() -> None:
    """Take from other users what an earlier start, or a copy, may have left readable to them."""
    store = settings.DATABASES["default"]["NAME"]
    files = (
        [] if settings.ON_MONGODB else [Path(f"{store}{suffix}") for suffix in ("", "-wal", "-shm")]
    )
    folders = [settings.SECRETS, settings.DATA / "appendonlydir"]
    if settings.DATA == settings.BASE_DIR / "var":  # any other may be shared, as /tmp is
        folders.append(settings.DATA)
    for path in [*folders, *files]:
        try:
            if is_open(path):
                path.chmod(0o700 if path.is_dir() else 0o600)
                log.warning("%s was open to other users, and is now for its owner alone", path)
        except FileNotFoundError:
            continue
        except OSError:
            log.warning("%s is open to other users. Run, as its owner: chmod go= %s", path, path)


def is_open(path: Path) -> bool:
    """Whether other users may look into the file or folder. Raises OSError."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def load_settings() -> None:
    """Start Django, and see that its settings can be used. Raises Obstacle."""
    read_settings()
    try:
        django.setup()
    except ImproperlyConfigured as error:
        raise Obstacle(str(error)) from None
    except ValueError as error:
        reason = error.__cause__ or error
        raise Obstacle(
            f"The settings can't be read ({reason}). Compare the environment with .env.example."
        ) from None
    close_to_others()
    for issue in run_checks(tags=[OF_SETTINGS]):
        if issue.is_serious():
            raise Obstacle(f"{issue.msg} {issue.hint}")


@contextmanager
def the_data_folder() -> Iterator[IO[str]]:
    """Have the data folder to ourselves; gives the lock file, which holds for as long as anybody
    has it open.
    """
    try:
        settings.DATA.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=settings.DATA).close()
        if is_open(settings.DATA):
            log.warning(
                "Other users can look into the data folder %s. Run: chmod 700 %s",
                settings.DATA,
                settings.DATA,
            )
        lock = (settings.DATA / "lock").open("w")
    except OSError as error:
        raise _unusable(settings.DATA, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Obstacle(
                f"Another server runs on the data folder {settings.DATA}. "
                "Stop it, or set ENRICHLABS_DATA and PORT for a second one."
            ) from None
        yield lock


def _unusable(folder: object, error: OSError) -> Obstacle:
    return Obstacle(
        f"The data folder {folder} can't be used ({error.strerror}). "
        "Make it a folder that this user can write to, or set ENRICHLABS_DATA to another."
    )


def check_ports(ports: dict[str, tuple[str, int]]) -> None:
    """See that each named (host, port) is free. Raises Obstacle."""
    with ExitStack() as held:
        for name, (host, port) in ports.items():
            held.enter_context(_bound(name, host, port))


def _bound(name: str, host: str, port: int) -> socket.socket:
    if not 0 < port < 65536:
        raise Obstacle(f"{name} is {port}, but must be between 1 and 65535.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Obstacle(
                f"{name} {port} is in use on {host}. Stop what listens there, or set {name} to a free port."
            ) from None
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise Obstacle(
            f"{name} {port} can't be opened on {host} ({reason}). Correct HOST or {name}."
        ) from None


def check_store() -> None:
    """See that the store answers. Raises Obstacle."""
    try:
        with pymongo.timeout(ANSWER_SECONDS):
            connection.introspection.table_names()
    except STORE_ERRORS as error:
        raise Obstacle(no_store(error)) from None


def no_store(error: Exception) -> str:
    """Return why the store can't be used, and what to do."""
    where = server_address(error)
    if sentences := explain(error):
        return sentences.replace(".", f" ({where}).", 1) if where else sentences
    return f"The store does not answer ({type(error.__cause__ or error).__name__}). Start it, or correct DATABASE_URL."


def check_redis() -> None:
    """See that the server of REDIS_URL answers and can do what we need. Raises Obstacle."""
    try:
        server = connect(ANSWER_SECONDS).info("server")
    except (redis.RedisError, ValueError, OSError) as error:
        reason = (
            "that is no address such as redis://host:6379/0"
            if isinstance(error, ValueError)
            else error
        )
        raise Obstacle(
            f"Redis does not answer ({reason}). Start it, or unset REDIS_URL to use the embedded one."
        ) from None
    version = server["redis_version"]
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        raise Obstacle(
            f"REDIS_URL leads to Redis {version}, but {OLDEST_REDIS}.0 or newer is needed. Upgrade it, or unset REDIS_URL."
        )
    if server.get("redis_mode") == "cluster":
        raise Obstacle(
            "REDIS_URL leads to a Redis Cluster, but one primary is needed. Set REDIS_URL to one, or unset it."
        )
