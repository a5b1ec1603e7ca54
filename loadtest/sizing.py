"""Measures how many jobs a second one worker process does for one vendor, by the vendor's latency and the worker's threads.

Starts services of its own in a temporary folder, and removes them:

    .venv/bin/python -m loadtest.sizing
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import django

from enrichlabs.tests.mongodb import free_port
from enrichlabs.tests.running import Server

LATENCIES_SECONDS = (0.0, 0.2, 1.0)
THREADS = (32, 96)
FEWEST, PER_SECOND = 1000, 400  # jobs that are queued: more than can be done in the time
BATCH = 2000
WARM_UP_SECONDS = 3.0
VENDOR = """
[vendors.vendor-{name}]
adapter = "sync"
url = "http://127.0.0.1:{port}/mock-vendors/sync?latency={latency}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15, help="how long each is measured")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that it cleans up
    with tempfile.TemporaryDirectory(prefix="sizing-") as folder:
        for threads in THREADS:
            measure(Path(folder) / str(threads), threads, options.seconds)


def measure(folder: Path, threads: int, seconds: float) -> None:
    """Say what a worker with so many threads does at each latency, one after the other."""
    port, mock_port = free_port(), free_port()
    folder.mkdir()
    vendors = folder / "vendors.toml"
    vendors.write_text("".join(VENDOR.format(name=n, port=mock_port, latency=at) for n, at in enumerate(LATENCIES_SECONDS)))
    named = {"ENRICHLABS_VENDORS": vendors, "MOCK_VENDORS": 1, "WORKER_THREADS": threads, "LOG_LEVEL": "ERROR"}
    server = Server(folder, PORT=port, MOCK_PORT=mock_port, GUNICORN_CMD_ARGS="--threads=128", **named)
    try:
        server.wait_until_ready()
        os.environ.update(DJANGO_SETTINGS_MODULE="enrichlabs.settings", ENRICHLABS_DATA=str(folder))
        child = os.fork()  # settings are read once a process
        if not child:
            try:
                run(threads, seconds)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    finally:
        server.kill()


def run(threads: int, seconds: float) -> None:
    django.setup()
    for name, latency in enumerate(LATENCIES_SECONDS):
        rate = done_per_second(f"vendor-{name}", seconds)
        sys.stdout.write(f"{threads} threads, a vendor that takes {latency:g} s: {rate:.0f} jobs/s\n")
        sys.stdout.flush()


def done_per_second(vendor: str, seconds: float) -> float:
    from jobs import stream
    from jobs.models import Job, Status, Stream
    from jobs.store import writing
    from vendors import pauses

    count = FEWEST + int(PER_SECOND * seconds)
    for start in range(0, count, BATCH):
        jobs = [Job(vendor=vendor, name="John Doe", input={"name": "John Doe"}) for _ in range(min(BATCH, count - start))]
        with writing():
            Job.objects.bulk_create(jobs)
        stream.add(vendor, [job.pk for job in jobs], Stream.JOBS)
    complete = Job.objects.filter(vendor=vendor, status=Status.COMPLETE)
    time.sleep(WARM_UP_SECONDS)
    before, since = complete.count(), time.monotonic()
    time.sleep(seconds)
    rate = (complete.count() - before) / (time.monotonic() - since)
    pauses.pause(vendor, "It has been measured.")
    return rate


if __name__ == "__main__":
    main()
