"""Sends the same jobs through the whole service on SQLite and on MongoDB's wire protocol, and
compares what came of each.

Starts the services (and SecantusDB, which speaks that protocol) in a temporary folder, one after
the other, and removes them:

.venv/bin/python -m loadtest.stores --jobs 20000
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import local
from typing import Any

import redis

from harness.mongodb import mongodb
from harness.ports import free_port
from harness.running import Server

CLIENTS = 32  # so that posts share commits, as those of many clients do
MAX_OPEN = 400  # so that clients wait for the service, as it is its pace that is measured
CHECK_INTERVAL_SECONDS = 0.05
RETRY_SECONDS = 1.0
QUIET_SECONDS = 120.0
VENDORS = """
[vendors.sync]
adapter = "sync"
url = "http://127.0.0.1:{port}/mock-vendors/sync"
rate_limits = "1000/s"

[vendors.async]
adapter = "async"
url = "http://127.0.0.1:{port}/mock-vendors/async?callback_delay=0.5"
max_in_flight = 200

[vendors.refusing]
adapter = "sync"
url = "http://127.0.0.1:{port}/mock-vendors/sync?status=422"
"""
SLUGS = ("sync", "async", "sync", "async", "refusing")
Outcome = tuple[Any, ...]
of_thread = local()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=20_000)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that it cleans up
    on_sqlite = outcomes("SQLite", "", options.jobs)
    with mongodb() as (url, _):
        on_mongodb = outcomes("MongoDB's wire", url, options.jobs)
    differing = [name for name, outcome in on_sqlite.items() if on_mongodb.get(name) != outcome]
    say(f"jobs with another outcome: {len(differing)} of {options.jobs}")
    for name in differing[:5]:
        say(f"  {name}: {on_sqlite[name]} and {on_mongodb.get(name)}")
    sys.exit(1 if differing else 0)


def outcomes(store: str, url: str, count: int) -> dict[str, Outcome]:
    """Send the jobs through a service on this store; returns what came of each, by its name."""
    with service(url) as server, ThreadPoolExecutor(CLIENTS) as clients:
        since = time.monotonic()
        ids = list(clients.map(lambda n: post(server, n), range(count)))
        wait_until_quiet(server)
        seconds = time.monotonic() - since
        found = dict(clients.map(lambda job_id: show(server, job_id), ids))
    statuses = Counter(outcome[0] for outcome in found.values())
    say(
        f"{store}: {count} jobs in {seconds:.0f} s, {count / seconds:.0f}/s: {dict(sorted(statuses.items()))}"
    )
    return found


@contextmanager
def service(url: str) -> Iterator["Service"]:
    with tempfile.TemporaryDirectory(prefix="stores-") as folder:
        server = Service(Path(folder) / "data", url)
        try:
            server.wait_until_ready()
            yield server
        finally:
            server.kill()


class Service(Server):
    """The whole service on a store, with three mock vendors."""

    def __init__(self, folder: Path, url: str) -> None:
        port, mock_port = free_port(), free_port()
        folder.mkdir()
        vendors = folder / "vendors.toml"
        vendors.write_text(VENDORS.format(port=mock_port))
        named = {
            "ENRICHLABS_VENDORS": vendors,
            "MOCK_VENDORS": 1,
            "DATABASE_URL": url,
            "LOG_LEVEL": "ERROR",
        }
        super().__init__(folder, PORT=port, MOCK_PORT=mock_port, **named)
        self.redis = redis.Redis(
            unix_socket_path=str(folder / "valkey.sock"), decode_responses=True, socket_timeout=60
        )

    def open_jobs(self) -> int:
        """Return how many jobs are queued, called or waiting, as Redis knows them."""
        pipeline = self.redis.pipeline(transaction=False)
        for slug in set(SLUGS):
            pipeline.xlen(f"enrich:{{{slug}}}:jobs").xlen(f"enrich:{{{slug}}}:retries").zcard(
                f"enrich:{{{slug}}}:in_flight"
            )
        return sum(pipeline.execute())


def ask(
    server: Service, method: str, path: str, body: str | None = None
) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON that the service answers, on a connection that the thread
    keeps.
    """
    if getattr(of_thread, "server", None) is not server:
        of_thread.server, of_thread.door = (
            server,
            HTTPConnection("127.0.0.1", server.port, timeout=30),
        )
    of_thread.door.request(method, path, body, {"Content-Type": "application/json"})
    answer = of_thread.door.getresponse()
    return answer.status, json.loads(answer.read())


def post(server: Service, number: int) -> str:
    while number % CLIENTS == 0 and server.open_jobs() > MAX_OPEN:
        time.sleep(CHECK_INTERVAL_SECONDS)
    job = json.dumps({"vendor": SLUGS[number % len(SLUGS)], "name": f"Person {number}"})
    while True:
        status, answer = ask(server, "POST", "/jobs", job)
        if status == 202:
            return str(answer["request_id"])
        if status != 503:
            sys.exit(f"POST /jobs was answered with {status}: {answer}")
        time.sleep(RETRY_SECONDS)


def show(server: Service, job_id: str) -> tuple[str, Outcome]:
    """Return a job's name and what came of it."""
    _, job = ask(server, "GET", f"/jobs/{job_id}")
    return job["name"], (
        job["status"],
        job.get("result"),
        job.get("error", {}).get("code"),
        job["attempts"],
        job["run"],
    )


def wait_until_quiet(server: Service) -> None:
    end = time.monotonic() + QUIET_SECONDS
    while server.open_jobs():
        if time.monotonic() > end:
            sys.exit(
                f"{server.open_jobs()} jobs were still open {QUIET_SECONDS:.0f} s after the last was posted."
            )
        time.sleep(CHECK_INTERVAL_SECONDS)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
