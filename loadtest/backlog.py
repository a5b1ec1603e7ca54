"""Measures what a long backlog costs, and how it comes back when Redis has lost it. Starts two
services of its own, one with an empty queue beside it, in a temporary folder, and ends and removes
them (loadtest/README.md says more):

.venv/bin/python -m loadtest.backlog --jobs 100000
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import django
import redis

from harness.ports import free_port
from harness.running import Server, processes_of

BATCH = 5000
FLUSH_SECONDS = 900.0
SAMPLE_SECONDS = 300.0
CHECK_INTERVAL_SECONDS = 0.2
JOB = {"vendor": "slow", "name": "John Doe"}
ROW: dict[str, Any] = {**JOB, "input": {"name": JOB["name"]}}
# Its one call an hour is made by the first job; all others wait.
VENDOR = """
[vendors.slow]
adapter = "sync"
url = "http://127.0.0.1:{port}/mock-vendors/sync"
rate_limits = "1/h"
max_queued = 100000000
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--posts", type=int, default=500, help="to each of the two services")
    parser.add_argument(
        "--idle-seconds", type=float, default=60, help="how long the idle workers are watched"
    )
    parser.add_argument("--sample", type=int, default=3000, help="jobs to be done after the loss")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that it cleans up
    with tempfile.TemporaryDirectory(prefix="backlog-") as folder:
        empty, full = (Service(Path(folder) / name) for name in ("empty", "full"))
        try:
            measure(empty.ready(), full.ready(), options)
        finally:
            empty.kill()
            full.kill()


def measure(empty: "Service", full: "Service", options: argparse.Namespace) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="enrichlabs.settings", ENRICHLABS_DATA=str(full.folder)
    )
    django.setup()
    post_both(empty, full, 50)  # warm up
    tell("fill", fill(options.jobs))
    tell("POST", posts(*post_both(empty, full, options.posts)))
    tell("idle worker", idle(empty, full, options.idle_seconds))
    tell("memory", memory(empty, full, options.jobs))
    tell("FLUSHALL", flush(full))
    tell("sample", sample(full, options.sample))


class Service(Server):
    """script/server on a folder of its own, with one vendor that makes its jobs wait."""

    def __init__(self, folder: Path) -> None:
        port, mock_port = free_port(), free_port()
        folder.mkdir()
        vendors = folder / "vendors.toml"
        vendors.write_text(VENDOR.format(port=mock_port))
        super().__init__(
            folder,
            PORT=port,
            MOCK_PORT=mock_port,
            ENRICHLABS_VENDORS=vendors,
            MOCK_VENDORS=1,
            LOG_LEVEL="WARNING",
        )
        self.mock_port = mock_port
        self.redis = redis.Redis(
            unix_socket_path=str(folder / "valkey.sock"), decode_responses=True, socket_timeout=60
        )
        self.http = HTTPConnection("127.0.0.1", port, timeout=30)

    def ready(self) -> "Service":
        self.wait_until_ready()
        return self

    def post(self) -> float:
        """Return how many seconds a POST took."""
        since = time.perf_counter()
        self.http.request("POST", "/jobs", json.dumps(JOB), {"Content-Type": "application/json"})
        response = self.http.getresponse()
        response.read()
        if response.status != 202:
            sys.exit(f"POST /jobs was answered with {response.status}")
        return time.perf_counter() - since

    def processes(self, words: str) -> list[int]:
        return [pid for pid, command in processes_of(self.folder).items() if words in command]

    def entries(self) -> int:
        return sum(self.redis.xlen(f"enrich:{{slow}}:{name}") for name in ("jobs", "retries"))

    def lost(self) -> int:
        return int(self.redis.hget("enrich:counters", "lost_entries|slow") or 0)

    def worker_cpu_seconds(self) -> float:
        return sum(cpu_seconds(pid) for pid in self.processes("run_worker"))

    def used_memory(self) -> int:
        return int(self.redis.info("memory")["used_memory"])


def fill(count: int) -> dict[str, Any]:
    """Queue jobs as the API does, many in a commit."""
    from jobs.models import Job, Stream
    from jobs.queue import stream
    from jobs.storage.store import writing

    since = time.monotonic()
    for done in range(0, count, BATCH):
        jobs = [Job(**ROW) for _ in range(min(BATCH, count - done))]
        with writing():
            Job.objects.bulk_create(jobs)
        stream.add("slow", [job.pk for job in jobs], Stream.JOBS)
    return {"jobs": count, "seconds": time.monotonic() - since}


def post_both(empty: Service, full: Service, count: int) -> tuple[list[float], list[float]]:
    """Post to both in turn, so that whatever else the machine does slows both."""
    for service in (empty, full):
        service.http.close()  # the API has, meanwhile
    pairs = [(empty.post(), full.post()) for _ in range(count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def posts(empty: list[float], full: list[float]) -> dict[str, Any]:
    medians, p95s = (
        [measure(times) * 1000 for times in (empty, full)] for measure in (statistics.median, p95)
    )
    return {
        "median ms, empty and full": medians,
        "p95 ms, empty and full": p95s,
        "ratio of medians (to be 1.5 at the most)": medians[1] / medians[0],
        "ratio of p95": p95s[1] / p95s[0],
    }


def idle(empty: Service, full: Service, seconds: float) -> dict[str, Any]:
    """Nothing is posted and nothing can start: a worker beats, looks at its settings, and sweeps."""
    before = [service.worker_cpu_seconds() for service in (empty, full)]
    entries, lost, since = full.entries(), full.lost(), time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - since
    used = [
        service.worker_cpu_seconds() - cpu
        for service, cpu in zip((empty, full), before, strict=True)
    ]
    percent = [cpu / elapsed * 100 for cpu in used]
    return {
        "% of a core, empty and full": percent,
        "more for the backlog (the sweep, to be under 2)": percent[1] - percent[0],
        "entries re-added (to be 0)": full.lost() - lost,
        "entries more or less": full.entries() - entries,
    }


def memory(empty: Service, full: Service, count: int) -> dict[str, Any]:
    files = [
        sum(path.stat().st_size for path in service.folder.glob("enrichlabs.sqlite3*"))
        for service in (empty, full)
    ]
    used = [service.used_memory() for service in (empty, full)]
    return {
        "API MB, all its processes, empty and full": [
            resident_mb(each.processes("enrichlabs.wsgi")) for each in (empty, full)
        ],
        "worker MB, empty and full": [
            resident_mb(each.processes("run_worker")) for each in (empty, full)
        ],
        "Valkey MB, empty and full": [size / 1e6 for size in used],
        "Valkey bytes a job": (used[1] - used[0]) / count,
        "SQLite bytes a job": (files[1] - files[0]) / count,
    }


def flush(full: Service) -> dict[str, Any]:
    """Lose everything in Redis, and wait until each queued job has its entry again."""
    from jobs.models import Job, Status

    queued = Job.objects.filter(status=Status.QUEUED).count()
    cpu, since = full.worker_cpu_seconds(), time.monotonic()
    full.redis.flushall()
    while (full.entries() < queued or missing(full)) and time.monotonic() - since < FLUSH_SECONDS:
        time.sleep(CHECK_INTERVAL_SECONDS)
    seconds = time.monotonic() - since
    return {
        "queued": queued,
        "back after seconds": seconds,
        "% of a core meanwhile": (full.worker_cpu_seconds() - cpu) / seconds * 100,
        "without an entry": missing(full),
        "entries more than jobs": full.entries() - queued,
    }


def missing(full: Service) -> int:
    """Return how many queued jobs have no entry."""
    from jobs.models import Job, Status

    there = set(entries(full))
    queued = Job.objects.filter(status=Status.QUEUED).values_list("pk", flat=True)
    return sum(job_id not in there for job_id in queued.iterator(BATCH))


def entries(full: Service) -> Iterator[str]:
    for name in ("jobs", "retries"):
        last = "0"
        while page := full.redis.xrange(f"enrich:{{slow}}:{name}", f"({last}", count=BATCH):
            last = page[-1][0]
            yield from (fields["job"] for _, fields in page)


def sample(full: Service, count: int) -> dict[str, Any]:
    """Let the vendor be fast until so many jobs are done; nothing may have been called or recorded
    twice.
    """
    from jobs.models import Attempt, Job, Status
    from vendors.models import Vendor

    since, complete = time.monotonic(), Job.objects.filter(status=Status.COMPLETE)
    Vendor.objects.update(rate_limits="")
    while complete.count() < count and time.monotonic() - since < SAMPLE_SECONDS:
        time.sleep(CHECK_INTERVAL_SECONDS)
    Vendor.objects.update(paused=True)
    elapsed = time.monotonic() - since
    while full.redis.zcard("enrich:{slow}:in_flight") and time.monotonic() - since < SAMPLE_SECONDS:
        time.sleep(CHECK_INTERVAL_SECONDS)
    calls = Counter(arrival["idempotency_key"] for arrival in ledger(full))
    tries = Counter(Attempt.objects.values_list("job", flat=True))
    return {
        "done": complete.count(),
        "a second": complete.count() / elapsed,
        "called twice (to be 0)": sum(times > 1 for times in calls.values()),
        "recorded twice (to be 0)": sum(times > 1 for times in tries.values()),
        "entries handed back": int(
            full.redis.hget("enrich:counters", "requeued_entries|slow") or 0
        ),
    }


def ledger(full: Service) -> list[dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", full.mock_port, timeout=30)
    connection.request("GET", "/mock-vendors/ledger")
    return list(json.load(connection.getresponse())["arrivals"])


def p95(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pids: list[int]) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def tell(what: str, figures: dict[str, Any]) -> None:
    for name, figure in figures.items():
        numbers = figure if isinstance(figure, list) else [figure]
        text = "   ".join(
            f"{number:,.2f}" if isinstance(number, float) else f"{number:,}" for number in numbers
        )
        sys.stdout.write(f"{what:12} {name:52} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
