"""What a Valkey is told, as its MONITOR says: commands that clients send, and those that scripts
make out of them.
"""

import re
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = re.compile(rb'\+[\d.]+ \[\d+ (lua|[^\]]+)\] "([^"]*)"')


@dataclass
class Told:
    """How many commands of each name there were."""

    sent: Counter[str] = field(default_factory=Counter)
    by_scripts: Counter[str] = field(default_factory=Counter)


def watch(sock: Path, seconds: float) -> Told:
    """Return what is told within so many seconds."""
    told, rest, end_at = Told(), b"", time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(sock))
        connection.sendall(b"MONITOR\r\n")
        while (left := end_at - time.monotonic()) > 0:
            connection.settimeout(left)
            with suppress(TimeoutError):
                *lines, rest = (rest + connection.recv(1 << 20)).split(b"\n")
                for line in lines:
                    if command := COMMAND.match(line):
                        (told.by_scripts if command[1] == b"lua" else told.sent)[
                            command[2].decode().upper()
                        ] += 1
    return told
