"""Measures requests that wait: 200 clients post jobs with `Prefer: wait`, and ask with it again
until they have the result. Starts its own service, with a vendor that calls back after 3 s.

    .venv/bin/python -m loadtest.waiters --seconds 30

loadtest/README.md explains the lines.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPMessage
from statistics import median, quantiles
from threading import Event, Thread
from typing import Any

from loadtest.own_service import own_service, say

VENDOR = '[vendors.async]\nadapter = "async"\nurl = "{mocks}/async?callback_delay=3"\n'
WAIT = {"Prefer": "wait=30"}
BODY = json.dumps({"vendor": "async", "name": "John Doe"})
PROBE_INTERVAL_SECONDS = 0.02
TIMEOUT_SECONDS = 40


@dataclass
class Seen:
    """What clients saw."""

    woken_ms: list[float] = field(default_factory=list)  # from the end of a job to its answer
    results: int = 0
    plain: int = 0  # answers without a result, at once
    failed: int = 0


class Client:
    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any], HTTPMessage]:
        named = {"Content-Type": "application/json", **headers}
        self._connection.request(method, path, body, named)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read()), response.headers


def main() -> None:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the service is stopped, too
    with own_service(VENDOR) as service:
        final_id = first_result(service.port)
        alone = probe(service.port, final_id, options.seconds / 3)
        seen, since = Seen(), time.monotonic()
        with waiting(service.port, options.clients, seen):
            beside = probe(service.port, final_id, options.seconds)
        seconds = time.monotonic() - since
    say(f"other GETs, alone:   {figures(alone)}")
    say(f"other GETs, beside:  {figures(beside)}")
    say(f"woken after the end: {figures(seen.woken_ms)}")
    say(
        f"{options.clients} clients in {seconds:.0f} s: {seen.results} results, "
        f"{len(seen.woken_ms)} of them waited for; {seen.plain} plain answers, {seen.failed} failed"
    )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    return parser.parse_args()


def first_result(port: int) -> str:
    """Return the id of a job that is final."""
    status, job, _ = Client(port).ask("POST", "/jobs", BODY, **WAIT)
    if (status, job["status"]) != (200, "complete"):
        sys.exit(f"The first job was answered with {status}: {job}")
    return str(job["request_id"])


def probe(port: int, job_id: str, seconds: float) -> list[float]:
    """Return the milliseconds that a GET without a wait took, one after the other."""
    client, took_ms = Client(port), []
    end = time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        client.ask("GET", f"/jobs/{job_id}")
        took_ms.append((time.monotonic() - started) * 1000)
        time.sleep(PROBE_INTERVAL_SECONDS)
    return took_ms


@contextmanager
def waiting(port: int, clients: int, seen: Seen) -> Iterator[None]:
    """Have that many clients post jobs and wait for them, again and again."""
    ended = Event()
    threads = [Thread(target=follow_jobs, args=(port, seen, ended)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def follow_jobs(port: int, seen: Seen, ended: Event) -> None:
    client = Client(port)
    while not ended.is_set():
        request: tuple[str, ...] = ("POST", "/jobs", BODY)
        while request and not ended.is_set():
            sent_at = time.time()
            status, job, headers = client.ask(*request, **WAIT)
            if status not in (200, 202):
                seen.failed += 1
                request = ()
            elif "Preference-Applied" in headers:
                note_result(seen, job, sent_at)
                request = ()
            else:
                seen.plain += 1
                ended.wait(int(headers["Retry-After"]))
                request = ("GET", f"/jobs/{job['request_id']}")


def note_result(seen: Seen, job: dict[str, Any], sent_at: float) -> None:
    seen.results += 1
    finished_at = datetime.fromisoformat(job["finished_at"]).timestamp()
    if finished_at > sent_at:
        seen.woken_ms.append((time.time() - finished_at) * 1000)


def figures(values_ms: list[float]) -> str:
    cuts = quantiles(values_ms, n=100)
    return f"median {median(values_ms):.1f} ms, p95 {cuts[94]:.1f} ms, p99 {cuts[98]:.1f} ms"


if __name__ == "__main__":
    main()
