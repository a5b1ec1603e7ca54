"""How fast jobs complete. Rows are counted periodically with plain SQL, which disturbs little."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

CHECK_INTERVAL_SECONDS = 0.2
MAX_SECONDS = 300.0
FROM_SHARE, TO_SHARE = 0.1, 0.9  # the start and the end are slower

Cpu = dict[str, float]


@dataclass(frozen=True)
class Reading:
    """How many jobs are complete at a moment, and the CPU seconds used until then, by name."""

    at: float  # monotonic seconds
    done: int
    cpu: Cpu


@dataclass(frozen=True)
class Pace:
    """The rate between two readings."""

    jobs_per_second: float
    cpu_ms_per_job: Cpu


def pace(store: Path, table: str, total: int, cpu: Callable[[], Cpu]) -> Pace:
    """Watch `total` jobs complete and return the pace of the middle 80 %."""
    give_up_at = time.monotonic() + MAX_SECONDS
    readings: list[Reading] = []
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        while not readings or readings[-1].done < TO_SHARE * total:
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{total} jobs were not complete after {MAX_SECONDS:.0f} s")
            time.sleep(CHECK_INTERVAL_SECONDS)
            done = complete(connection, table)
            if done >= FROM_SHARE * total:
                readings.append(Reading(time.monotonic(), done, cpu()))
    return between(readings[0], readings[-1])


def complete(store: sqlite3.Connection, table: str) -> int:
    sql = f"SELECT count(*) FROM {table} WHERE status = 'complete'"  # noqa: S608
    return int(store.execute(sql).fetchone()[0])


def between(first: Reading, last: Reading) -> Pace:
    done = last.done - first.done
    used = {name: (last.cpu[name] - first.cpu[name]) * 1000 / done for name in first.cpu}
    return Pace(done / (last.at - first.at), used)
