"""A vendor that costs next to nothing, so that what is measured is the caller: python -m bench.vendor PORT [LATENCY_SECONDS]

Answers every POST with 200 and a small JSON object, at once or after its latency, over connections that it keeps.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.service import free_port, listens
from tests.waiting import wait_for

BODY = b'{"name": "John Doe", "info": "Processed"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Vendor(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, latency_seconds: float) -> None:
        self._latency_seconds = latency_seconds
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
        if self._latency_seconds:
            asyncio.get_running_loop().call_later(self._latency_seconds, self._transport.write, ANSWER)
        else:
            self._transport.write(ANSWER)


async def serve(port: int, latency_seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Vendor(latency_seconds), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


@contextmanager
def vendor(latency_seconds: float = 0.0) -> Iterator[str]:
    """Run a vendor and give its URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.vendor", str(port), str(latency_seconds)])
    try:
        wait_for(lambda: listens(port), "the vendor to listen")
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
