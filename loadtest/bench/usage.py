"""What processes use: CPU time and memory, as /proc tells."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and all below it have used, children that have ended among
    them.
    """
    ticks = 0
    for process in family(pid):
        with suppress(OSError):  # it has just ended
            ticks += sum(map(int, _stat(process)[11:15]))
    return ticks / TICKS_PER_SECOND


def resident_mb(pid: int) -> float:
    """Return the resident memory of one process; what it shares with others counts in full."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def family(pid: int) -> Iterator[int]:
    """Give the process and all below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from family(int(child))


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
