"""A vendor that costs next to nothing, so that what is measured is the caller: python -m
bench.vendor PORT [LATENCY_SECONDS]

Answers every POST with 200 and a small JSON object, at once or after its latency, over connections
that it keeps. A GET has what it has done so far: see `ledger`.
"""

import asyncio
import json
import re
import resource
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.ports import free_port
from harness.waiting import wait_for
from loadtest.bench.service import listens

BODY = b'{"name": "John Doe", "info": "Processed"}'
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


ANSWER = answer(BODY)


class Ledger:
    """What the vendor has done."""

    def __init__(self, latency_seconds: float) -> None:
        self._latency_seconds = latency_seconds
        self._under_way: deque[float] = deque()  # when each call came; the first is answered first
        self.answered = self.most_in_flight = 0

    def begin(self) -> None:
        self._under_way.append(time.monotonic())
        self.most_in_flight = max(self.most_in_flight, len(self._under_way))

    def end(self) -> None:
        self._under_way.popleft()
        self.answered += 1

    def text(self) -> bytes:
        now = time.monotonic()
        # Calls come in waves, one each latency: to count whole ones alone would make a rate hang on
        # when it is looked at.
        shares = sum(
            min(1.0, (now - came_at) / self._latency_seconds) for came_at in self._under_way
        )
        told = {
            "answered": self.answered,
            "done": self.answered + shares,
            "most_in_flight": self.most_in_flight,
        }
        return json.dumps({"at": now, "cpu_seconds": time.process_time(), **told}).encode()


class Vendor(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, latency_seconds: float, ledger: Ledger) -> None:
        self._latency_seconds = latency_seconds
        self._ledger = ledger
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = LENGTH.search(head)
        if len(body) < int(length[1] if length else 0):
            return
        self._received = b""
        if head.startswith(b"GET"):
            self._transport.write(answer(self._ledger.text()))
            return
        self._ledger.begin()
        if self._latency_seconds:
            asyncio.get_running_loop().call_later(self._latency_seconds, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        self._ledger.end()
        self._transport.write(ANSWER)


async def serve(port: int, latency_seconds: float) -> None:
    ledger = Ledger(latency_seconds)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Vendor(latency_seconds, ledger), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


@contextmanager
def vendor(latency_seconds: float = 0.0) -> Iterator[str]:
    """Run a vendor and give its URL."""
    port = free_port()
    command = [sys.executable, "-m", "bench.vendor", str(port), str(latency_seconds)]
    process = subprocess.Popen(command)
    try:
        wait_for(lambda: listens(port), "the vendor to listen")
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()


def ledger(url: str) -> dict[str, Any]:
    """Return what a vendor has done until `at` (monotonic seconds), and the `cpu_seconds` that it
    took.

    `answered` counts calls, and `done` as well the shares of those under way; `most_in_flight` is
    of all the time.
    """
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own
        return dict(json.load(response))


if __name__ == "__main__":
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # a connection each
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
