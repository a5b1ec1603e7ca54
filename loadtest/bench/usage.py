"""CPU time and memory of processes, from /proc."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its descendants, including children that have ended."""
    ticks = 0
    for process in family(pid):
        with suppress(OSError):  # it has just ended
            ticks += sum(map(int, _stat(process)[11:15]))
    return ticks / TICKS_PER_SECOND


def resident_mb(pid: int) -> float:
    """Return the resident memory of one process, with shared pages counted in full."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def family(pid: int) -> Iterator[int]:
    """Yield the process and its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from family(int(child))


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
