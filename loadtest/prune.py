"""Measures what a client notices of a prune on SQLite: POSTs to a service of its own, alone and
beside it. A JSON line for each step (loadtest/README.md says more):

.venv/bin/python -m loadtest.prune --jobs 100000
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from harness.running import ROOT, environment
from loadtest.backlog import JOB, Service, p95
from loadtest.move import fill, tell

ALONE_SECONDS = 10.0
CHECK_INTERVAL_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=100_000,
        help="that ended 40 days ago, two of three of them; the rest is open",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that it cleans up
    with tempfile.TemporaryDirectory(prefix="prune-") as folder:
        service = Service(Path(folder) / "service")
        try:
            measure(service.ready(), options.jobs)
        finally:
            service.kill()


def measure(service: Service, count: int) -> None:
    store = service.folder / "enrichlabs.sqlite3"
    tell("fill", jobs=count, seconds=fill(service.folder, f"sqlite://{store}", count))
    until = time.monotonic() + ALONE_SECONDS
    tell("POST alone", **posts(service, lambda: time.monotonic() > until))
    prune = start_prune(service.folder)
    since = time.monotonic()
    tell("POST beside a prune", **posts(service, lambda: prune.poll() is not None))
    said = prune.stdout.read().strip() if prune.stdout else ""
    tell("prune", said=said, seconds=time.monotonic() - since, file_mb=store.stat().st_size / 1e6)


def start_prune(folder: Path) -> "subprocess.Popen[str]":
    """Start it, and wait until it deletes."""
    from jobs.models import Job

    before = Job.objects.count()
    command = [sys.executable, "manage.py", "prune", "--older-than", "30d", "--yes"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(folder), stdout=subprocess.PIPE, text=True
    )
    while Job.objects.count() == before and process.poll() is None:
        time.sleep(CHECK_INTERVAL_SECONDS)
    return process


def posts(service: Service, is_over: Callable[[], bool]) -> dict[str, Any]:
    """Post one job after the other until it is over."""
    service.http.close()  # the API has, meanwhile
    times, refused = [], 0
    while not is_over():
        since = time.perf_counter()
        refused += post(service) != HTTPStatus.ACCEPTED
        times.append((time.perf_counter() - since) * 1000)
    figures = {"median_ms": statistics.median(times), "p95_ms": p95(times), "max_ms": max(times)}
    return {"posts": len(times), "refused": refused, **figures}


def post(service: Service) -> int:
    """Return the status of the answer."""
    service.http.request("POST", "/jobs", json.dumps(JOB), {"Content-Type": "application/json"})
    response = service.http.getresponse()
    response.read()
    return response.status


if __name__ == "__main__":
    main()
