"""A vendor in its own process that costs next to nothing, so that a benchmark measures the caller.

    python -m loadtest.bench.vendor PORT [LATENCY_SECONDS]

Answers every POST with 200 and a small JSON object, at once or after its latency, over kept-alive
connections. A GET returns its figures: see `figures`.
"""

import json
import resource
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from harness.ports import free_port
from harness.vendor.server import Server, Visit, reply
from harness.waiting import wait_for
from loadtest.bench.service import listens

ANSWER = reply(body=b'{"name": "John Doe", "info": "Processed"}', Content_Type="application/json")


class QuickVendor(Server):
    """Speaks on the level of bytes, because parsing and recording each call would show in a
    benchmark.
    """

    keeps_requests = False

    def __init__(self, port: int, latency_seconds: float) -> None:
        self._latency_seconds = latency_seconds
        self._in_flight: deque[float] = deque()  # arrival of each call; the first is answered first
        self._answered = self._max_in_flight = 0
        self._lock = Lock()
        super().__init__(self._talk, port=port)

    def _talk(self, visit: Visit) -> None:
        while request := visit.read_request():
            if request.startswith(b"GET"):
                visit.send(reply(body=self._figures()))
                continue
            with self._lock:
                self._in_flight.append(time.monotonic())
                self._max_in_flight = max(self._max_in_flight, len(self._in_flight))
            if self._latency_seconds:
                time.sleep(self._latency_seconds)
            with self._lock:
                self._in_flight.popleft()
                self._answered += 1
            visit.send(ANSWER)

    def _figures(self) -> bytes:
        with self._lock:
            now = time.monotonic()
            # Calls come in waves, one per latency. Counting only finished calls would make the rate
            # depend on the moment of the reading.
            shares = sum(min(1.0, (now - at) / self._latency_seconds) for at in self._in_flight)
            figures = {
                "at": now,
                "cpu_seconds": time.process_time(),
                "answered": self._answered,
                "done": self._answered + shares,
                "max_in_flight": self._max_in_flight,
            }
        return json.dumps(figures).encode()


@contextmanager
def vendor(latency_seconds: float = 0.0) -> Iterator[str]:
    """Run a vendor and yield its URL."""
    port = free_port()
    command = [sys.executable, "-m", "loadtest.bench.vendor", str(port), str(latency_seconds)]
    process = subprocess.Popen(command)
    try:
        wait_for(lambda: listens(port), "the vendor to listen")
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()


def figures(url: str) -> dict[str, Any]:
    """Return what a vendor has done until `at` (monotonic seconds) and the `cpu_seconds` it used.

    `answered` counts finished calls. `done` adds the elapsed share of each call in flight.
    `max_in_flight` is the maximum since the start.
    """
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own
        return dict(json.load(response))


def main() -> None:
    max_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))  # one per connection
    QuickVendor(int(sys.argv[1]), float(sys.argv[2])).stopped.wait()


if __name__ == "__main__":
    main()
