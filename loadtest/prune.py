"""Measures how a prune on SQLite affects clients: POSTs to a service, alone and during a prune.
Prints one line of JSON per step.

    .venv/bin/python -m loadtest.prune --jobs 100000

loadtest/README.md explains the figures.
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
from loadtest.backlog import p95
from loadtest.backlog_service import JOB, Service
from loadtest.move import show
from loadtest.old_jobs import fill

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
        help="jobs of 40 days ago, two of three final and the others open",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # cleans up
    with tempfile.TemporaryDirectory(prefix="prune-") as folder:
        service = Service(Path(folder) / "service")
        try:
            measure(service.ready(), options.jobs)
        finally:
            service.kill()


def measure(service: Service, count: int) -> None:
    store = service.folder / "enrichlabs.sqlite3"
    show("fill", jobs=count, seconds=fill(service.folder, f"sqlite://{store}", count))
    until = time.monotonic() + ALONE_SECONDS
    show("POST alone", **posts(service, lambda: time.monotonic() > until))
    prune, since = start_prune(service.folder), time.monotonic()
    show("POST during a prune", **posts(service, lambda: prune.poll() is not None))
    output = prune.stdout.read().strip() if prune.stdout else ""
    seconds, file_mb = time.monotonic() - since, store.stat().st_size / 1e6
    show("prune", output=output, seconds=seconds, file_mb=file_mb)


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
    service.http.close()  # the API has closed it meanwhile
    times, refused = [], 0
    while not is_over():
        since = time.perf_counter()
        refused += post(service) != HTTPStatus.ACCEPTED
        times.append((time.perf_counter() - since) * 1000)
    figures = {"median_ms": statistics.median(times), "p95_ms": p95(times), "max_ms": max(times)}
    return {"posts": len(times), "refused": refused, **figures}


def post(service: Service) -> int:
    """Return the status of the response."""
    service.http.request("POST", "/jobs", json.dumps(JOB), {"Content-Type": "application/json"})
    response = service.http.getresponse()
    response.read()
    return response.status


if __name__ == "__main__":
    main()
