"""Counts Valkey's commands with MONITOR: those that clients send, and those within scripts."""

import re
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = re.compile(rb'\+[\d.]+ \[\d+ (lua|[^\]]+)\] "([^"]*)"')


@dataclass
class Commands:
    """How many commands of each name there were."""

    sent: Counter[str] = field(default_factory=Counter)
    by_scripts: Counter[str] = field(default_factory=Counter)


def watch(sock: Path, seconds: float) -> Commands:
    """Count commands for `seconds`."""
    commands, rest, end_at = Commands(), b"", time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(sock))
        connection.sendall(b"MONITOR\r\n")
        while (left := end_at - time.monotonic()) > 0:
            connection.settimeout(left)
            with suppress(TimeoutError):
                *lines, rest = (rest + connection.recv(1 << 20)).split(b"\n")
                for command in filter(None, map(COMMAND.match, lines)):
                    counted = commands.by_scripts if command[1] == b"lua" else commands.sent
                    counted[command[2].decode().upper()] += 1
    return commands
