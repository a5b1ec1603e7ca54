"""How well a worker keeps its calls in flight with a slow vendor, compared with threads that are
never idle.
"""

import math
import sqlite3
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.waiting import wait_for
from loadtest.bench import vendor as vendors
from loadtest.bench.apart import apart
from loadtest.bench.drain import STORE
from loadtest.bench.progress import complete
from loadtest.bench.results import Line, Table
from loadtest.bench.service import queue, service
from loadtest.bench.usage import cpu_seconds, family, resident_mb

THREADS_PER_CALL = 1.5  # one vendor may use two thirds of a worker's threads
WARM_UP_LATENCIES = 2
SPARE_LATENCIES = 8  # worth of jobs for the warm-up and for a backlog to the end
RECORD_TIMEOUT_SECONDS = 5.0  # until all answers are in the store
MIN_SHARE = 0.95
MAX_MB = 150


@dataclass(frozen=True)
class Case:
    in_flight: int
    latency_seconds: float
    processes: int

    def __str__(self) -> str:
        processes = "1 process" if self.processes == 1 else f"{self.processes} processes"
        return f"{self.in_flight} in flight at {self.latency_seconds * 1000:.0f} ms, {processes}"

    @property
    def max_per_second(self) -> float:
        return self.in_flight / self.latency_seconds


@dataclass(frozen=True)
class Found:
    jobs_per_second: float
    max_in_flight: int
    worker_mb: list[float]  # resident, of each worker process
    cpu_ms_per_job: float  # of the workers


CASES = (Case(64, 0.2, processes=1), Case(256, 1.0, processes=1), Case(1000, 2.0, processes=2))


def measure(folder: Path, quick: bool) -> Table:
    latencies, least_seconds = (3, 2.0) if quick else (5, 5.0)
    found = {}
    for case in CASES:
        seconds = max(latencies * case.latency_seconds, least_seconds)
        found[case] = apart(keep_going, folder / str(case.in_flight), case, seconds)
    raw = {str(case): asdict(what) for case, what in found.items()}
    return Table(
        "Calls in flight to a slow vendor",
        [line for case, what in found.items() for line in _lines(case, what)],
        raw,
    )


def keep_going(folder: Path, case: Case, seconds: float) -> Found:
    """Return what the workers did in `seconds`, once they were warm. Sets Django up."""
    threads = math.ceil(THREADS_PER_CALL * case.in_flight / case.processes)
    timeout_seconds = case.latency_seconds + 30
    with vendors.vendor(case.latency_seconds) as url:
        table = (
            f'[vendors.slow]\nadapter = "sync"\nurl = "{url}"\ntimeout_seconds = {timeout_seconds}'
        )
        with service(folder, table) as serves:
            queue(
                "slow",
                math.ceil(case.max_per_second * (seconds + SPARE_LATENCIES * case.latency_seconds)),
            )
            with serves.worker(
                "--processes", case.processes, "--threads", threads, "--grace-seconds", 0
            ) as worker:
                warm = WARM_UP_LATENCIES * case.in_flight
                wait_for(
                    lambda: vendors.figures(url)["done"] > warm,
                    "the workers to be warm",
                    seconds=60,
                )
                return _watch(url, worker.pid, folder / STORE, seconds)


def _watch(url: str, worker_pid: int, store: Path, seconds: float) -> Found:
    first, cpu_first = vendors.figures(url), cpu_seconds(worker_pid)
    time.sleep(seconds)
    last, cpu_last = vendors.figures(url), cpu_seconds(worker_pid)
    workers = list(family(worker_pid))
    # With several processes, the first only supervises the others.
    memory = [resident_mb(pid) for pid in workers[1:] or workers]
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as rows:
        what = "the answers to be recorded"
        wait_for(
            lambda: complete(rows, "jobs_job") >= last["answered"],
            what,
            seconds=RECORD_TIMEOUT_SECONDS,
        )
    done = last["done"] - first["done"]
    return Found(
        done / (last["at"] - first["at"]),
        last["max_in_flight"],
        memory,
        (cpu_last - cpu_first) * 1000 / done,
    )


def _lines(case: Case, found: Found) -> list[Line]:
    share = found.jobs_per_second / case.max_per_second
    rate = f"{found.jobs_per_second:.0f} of {case.max_per_second:.0f} jobs/s"
    rate += f", at most {found.max_in_flight} in flight"
    memory = f"{max(found.worker_mb):.0f} MB a process; CPU ms each: worker "
    memory += f"{found.cpu_ms_per_job:.2f}"
    return [
        Line(f"{case}", rate, f"{share:.1%}", f"at least {MIN_SHARE:.0%}"),
        Line("    memory", memory, "", f"less than {MAX_MB} MB"),
    ]
