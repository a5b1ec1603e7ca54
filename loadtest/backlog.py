"""Measures what a long backlog costs, and how it recovers after Redis has lost it. Starts two
services in a temporary folder, one of them with an empty queue for comparison.

    .venv/bin/python -m loadtest.backlog --jobs 100000

loadtest/README.md explains the figures.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django

from loadtest.backlog_service import JOB, Service
from loadtest.bench.usage import resident_mb
from loadtest.own_service import say

BATCH = 5000
RECOVERY_TIMEOUT_SECONDS = 900.0
SAMPLE_TIMEOUT_SECONDS = 300.0
CHECK_INTERVAL_SECONDS = 0.2
WARM_UP_POSTS = 50
ROW: dict[str, Any] = {**JOB, "input": {"name": JOB["name"]}}

Figures = dict[str, Any]


def main() -> None:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # cleans up
    with tempfile.TemporaryDirectory(prefix="backlog-") as folder:
        empty, full = (Service(Path(folder) / name) for name in ("empty", "full"))
        try:
            measure(empty.ready(), full.ready(), options)
        finally:
            empty.kill()
            full.kill()


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--posts", type=int, default=500, help="posts to each service")
    parser.add_argument(
        "--idle-seconds", type=float, default=60, help="how long to watch the idle workers"
    )
    parser.add_argument(
        "--sample", type=int, default=3000, help="jobs to complete after the recovery"
    )
    return parser.parse_args()


def measure(empty: Service, full: Service, options: argparse.Namespace) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="enrichlabs.settings", ENRICHLABS_DATA=str(full.folder)
    )
    django.setup()
    post_both(empty, full, WARM_UP_POSTS)
    show("fill", fill(options.jobs))
    show("POST", compare_posts(*post_both(empty, full, options.posts)))
    show("idle worker", idle(empty, full, options.idle_seconds))
    show("memory", memory(empty, full, options.jobs))
    show("FLUSHALL", flush(full))
    show("sample", sample(full, options.sample))


def fill(count: int) -> Figures:
    """Queue jobs as the API does, many per commit."""
    from jobs.models import Job, Stream
    from jobs.queue import stream
    from jobs.storage.store import writing

    since = time.monotonic()
    for done in range(0, count, BATCH):
        jobs = [Job.new(**ROW) for _ in range(min(BATCH, count - done))]
        with writing():
            Job.objects.bulk_create(jobs)
        stream.add("slow", [job.pk for job in jobs], Stream.JOBS)
    return {"jobs": count, "seconds": time.monotonic() - since}


def post_both(empty: Service, full: Service, count: int) -> tuple[list[float], list[float]]:
    """Post to both in turn, so that other load on the machine slows both alike."""
    for service in (empty, full):
        service.http.close()  # the API has closed it meanwhile
    pairs = [(empty.post(), full.post()) for _ in range(count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def compare_posts(empty: Sequence[float], full: Sequence[float]) -> Figures:
    medians = [statistics.median(times) * 1000 for times in (empty, full)]
    p95s = [p95(times) * 1000 for times in (empty, full)]
    return {
        "median ms, empty and full": medians,
        "p95 ms, empty and full": p95s,
        "ratio of medians (limit 1.5)": medians[1] / medians[0],
        "ratio of p95": p95s[1] / p95s[0],
    }


def idle(empty: Service, full: Service, seconds: float) -> Figures:
    """Watch workers that can start nothing: heartbeats, settings and sweeps remain."""
    before = [service.worker_cpu_seconds() for service in (empty, full)]
    entries, lost, since = full.entry_count(), full.counter("lost_entries"), time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - since
    after = [service.worker_cpu_seconds() for service in (empty, full)]
    percent = [(b - a) / elapsed * 100 for a, b in zip(before, after, strict=True)]
    return {
        "% of a core, empty and full": percent,
        "added by the backlog, % of a core (limit 2)": percent[1] - percent[0],
        "entries re-added (must be 0)": full.counter("lost_entries") - lost,
        "change in entries": full.entry_count() - entries,
    }


def memory(empty: Service, full: Service, count: int) -> Figures:
    files = [
        sum(path.stat().st_size for path in service.folder.glob("enrichlabs.sqlite3*"))
        for service in (empty, full)
    ]
    used = [service.used_memory() for service in (empty, full)]
    api, worker = (
        [sum(map(resident_mb, each.processes(words))) for each in (empty, full)]
        for words in ("enrichlabs.wsgi", "run_worker")
    )
    return {
        "API MB, all its processes, empty and full": api,
        "worker MB, empty and full": worker,
        "Valkey MB, empty and full": [size / 1e6 for size in used],
        "Valkey bytes a job": (used[1] - used[0]) / count,
        "SQLite bytes a job": (files[1] - files[0]) / count,
    }


def flush(full: Service) -> Figures:
    """Delete everything in Redis, and wait until each queued job has an entry again."""
    from jobs.models import Job, Status

    queued = Job.objects.filter(status=Status.QUEUED).count()
    cpu, since = full.worker_cpu_seconds(), time.monotonic()
    give_up_at = since + RECOVERY_TIMEOUT_SECONDS
    full.redis.flushall()
    while (full.entry_count() < queued or missing(full)) and time.monotonic() < give_up_at:
        time.sleep(CHECK_INTERVAL_SECONDS)
    seconds = time.monotonic() - since
    return {
        "queued": queued,
        "recovered after seconds": seconds,
        "% of a core meanwhile": (full.worker_cpu_seconds() - cpu) / seconds * 100,
        "jobs without an entry": missing(full),
        "entries beyond jobs": full.entry_count() - queued,
    }


def missing(full: Service) -> int:
    """Return how many queued jobs have no entry."""
    from jobs.models import Job, Status

    present = set(full.entries())
    queued = Job.objects.filter(status=Status.QUEUED).values_list("pk", flat=True)
    return sum(job_id not in present for job_id in queued.iterator(BATCH))


def sample(full: Service, count: int) -> Figures:
    """Lift the limit until `count` jobs are complete. None may be called or recorded twice."""
    from jobs.models import Attempt, Job, Status
    from vendors.models import Vendor

    since, complete = time.monotonic(), Job.objects.filter(status=Status.COMPLETE)
    give_up_at = since + SAMPLE_TIMEOUT_SECONDS
    Vendor.objects.update(rate_limits="")
    while complete.count() < count and time.monotonic() < give_up_at:
        time.sleep(CHECK_INTERVAL_SECONDS)
    Vendor.objects.update(paused=True)
    elapsed = time.monotonic() - since
    while full.redis.zcard("enrich:{slow}:in_flight") and time.monotonic() < give_up_at:
        time.sleep(CHECK_INTERVAL_SECONDS)
    calls = Counter(arrival["idempotency_key"] for arrival in full.mock_vendor_calls())
    attempts = Counter(Attempt.objects.values_list("job", flat=True))
    return {
        "complete": complete.count(),
        "jobs/s": complete.count() / elapsed,
        "called twice (must be 0)": sum(times > 1 for times in calls.values()),
        "recorded twice (must be 0)": sum(times > 1 for times in attempts.values()),
        "requeued entries": full.counter("requeued_entries"),
    }


def p95(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def show(what: str, figures: Figures) -> None:
    for name, figure in figures.items():
        numbers = figure if isinstance(figure, list) else [figure]
        text = "   ".join(
            f"{number:,.2f}" if isinstance(number, float) else f"{number:,}" for number in numbers
        )
        say(f"{what:12} {name:46} {text}")


if __name__ == "__main__":
    main()
