"""An idle service: how soon a posted job is complete, and what waiting for jobs costs."""

import http.client
import json
import random
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path

from loadtest.bench import vendor as vendors
from loadtest.bench.apart import apart
from loadtest.bench.drain import STORE
from loadtest.bench.results import Line, Table
from loadtest.bench.service import service
from loadtest.bench.usage import cpu_seconds
from loadtest.bench.watch import watch

FEW, MANY = 10, 200
CHECK_INTERVAL_SECONDS = 0.0005  # between two reads of the row
MAX_PAUSE_SECONDS = 0.1  # between two jobs, so that they hit any point of the worker's cycle
MAX_SECONDS = 30.0
SETTLE_SECONDS = 3.0  # after a start or a job, until nothing is left to do
MAX_P50_MS, MAX_P99_MS = 15, 50
MAX_CPU_PERCENT, MAX_COMMANDS = 1.0, 20


@dataclass(frozen=True)
class Idle:
    """What a worker uses while it waits for jobs of `vendors` vendors."""

    vendors: int
    seconds: float
    cpu_percent: float  # of a core
    redis_cpu_percent: float
    sent: dict[str, int]  # commands to Redis, by name
    by_scripts: dict[str, int]  # commands within scripts, by name


def measure(folder: Path, quick: bool) -> Table:
    # A worker does everything periodic at least every 30 s.
    jobs, seconds = (50, 5.0) if quick else (200, 30.0)
    delays, few = apart(_measure, folder / "few", FEW, seconds, jobs)
    _, many = apart(_measure, folder / "many", MANY, seconds, 0)
    lines = [*_delay_lines(delays), *_idle_lines(few), *_idle_lines(many)]
    raw = {"seconds": delays, "idle": [asdict(few), asdict(many)]}
    return Table(
        f"One job at a time ({jobs} jobs), and no job",
        lines,
        raw,
    )


def _measure(folder: Path, count: int, seconds: float, jobs: int) -> tuple[list[float], Idle]:
    with vendors.vendor() as url:
        table = "\n".join(
            f'[vendors.v{number}]\nadapter = "sync"\nurl = "{url}"' for number in range(count)
        )
        with service(folder, table) as serves, serves.worker() as worker:
            with serves.api() as port:
                time.sleep(SETTLE_SECONDS)
                delays = list(_delays(port, folder / STORE, jobs))
            time.sleep(SETTLE_SECONDS)
            redis_pid = serves.redis.info("server")["process_id"]
            since = time.monotonic(), cpu_seconds(worker.pid), cpu_seconds(redis_pid)
            commands = watch(folder / "valkey.sock", seconds)
            took, used, redis_used = (
                now - then
                for now, then in zip(
                    (time.monotonic(), cpu_seconds(worker.pid), cpu_seconds(redis_pid)),
                    since,
                    strict=True,
                )
            )
            return delays, Idle(
                count,
                took,
                100 * used / took,
                100 * redis_used / took,
                dict(commands.sent),
                dict(commands.by_scripts),
            )


def _delays(port: int, store: Path, jobs: int) -> Iterator[float]:
    """Post one job after the other, and yield how many seconds each took to complete."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=MAX_SECONDS)
    with closing(client), closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as rows:
        for number in range(jobs + 1):
            time.sleep(random.uniform(0, MAX_PAUSE_SECONDS))
            since = time.perf_counter()
            client.request(
                "POST",
                "/jobs",
                '{"vendor": "v0", "name": "John Doe"}',
                {"Content-Type": "application/json"},
            )
            answer = client.getresponse()
            body = answer.read().decode()
            if answer.status != HTTPStatus.ACCEPTED:
                raise RuntimeError(f"a job was not accepted: {body}")
            job_id = json.loads(body)["request_id"]
            while not rows.execute(
                "SELECT 1 FROM jobs_job WHERE _id = ? AND status = 'complete'", [job_id]
            ).fetchone():
                if time.perf_counter() > since + MAX_SECONDS:
                    raise TimeoutError(f"a job was not complete after {MAX_SECONDS:.0f} s")
                time.sleep(CHECK_INTERVAL_SECONDS)
            if number:  # the first finds cold caches
                yield time.perf_counter() - since


def _delay_lines(seconds: list[float]) -> list[Line]:
    percentiles = [1000 * each for each in statistics.quantiles(seconds, n=100)]
    return [
        Line("POST to complete, p50", f"{percentiles[49]:.1f} ms", aim=f"{MAX_P50_MS} ms"),
        Line("POST to complete, p99", f"{percentiles[98]:.1f} ms", aim=f"{MAX_P99_MS} ms"),
    ]


def _idle_lines(idle: Idle) -> list[Line]:
    where = f"idle worker, {idle.vendors} vendors"
    sent, by_scripts = (
        sum(count.values()) / idle.seconds for count in (idle.sent, idle.by_scripts)
    )
    return [
        Line(
            f"{where}: CPU", f"{idle.cpu_percent:.2f} % of a core", aim=f"< {MAX_CPU_PERCENT:.0f} %"
        ),
        Line(
            f"{where}: Redis commands",
            f"{sent:.1f} a second, {by_scripts:.1f} within scripts",
            aim=f"< {MAX_COMMANDS}",
        ),
    ]
