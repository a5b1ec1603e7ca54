"""How other requests fare beside clients that upload or download a batch slowly."""

import json
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from threading import Event, Thread

from harness.streaming import NO_ANSWER, post_pieces
from loadtest.backlog import p95
from loadtest.own_service import OwnService, say

READERS = WRITERS = 6
RECEIVE_BUFFER_BYTES = 4096
READ_BYTES = 1024
INTERVAL_SECONDS = 0.2


def beside_slow_clients(service: OwnService, batch_id: str, seconds: float) -> None:
    """Print how long a GET takes alone, and beside clients that are slow."""
    job_id = posted(service)
    say(f"GET alone  {latency(service, job_id, seconds)}")
    words: Counter[str] = Counter()
    with ExitStack() as stack:
        for _ in range(READERS):
            reading = slow_reader(service, batch_id)
            stack.enter_context(running(reading, words))
        say(f"           {latency(service, job_id, seconds)}, beside {READERS} slow readers")
    with ExitStack() as stack:
        for number in range(WRITERS):
            stack.enter_context(running(slow_writer(service, number), words))
        say(f"           {latency(service, job_id, seconds)}, beside {WRITERS} slow uploads")
    say(f"           the slow clients: {dict(words)}")


def posted(service: OwnService) -> str:
    body = json.dumps({"vendor": "sync", "name": "John Doe"})
    connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
    connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
    return str(json.load(connection.getresponse())["request_id"])


def latency(service: OwnService, job_id: str, seconds: float) -> str:
    times, until = [], time.monotonic() + seconds
    connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
    while time.monotonic() < until:
        since = time.perf_counter()
        connection.request("GET", f"/jobs/{job_id}")
        connection.getresponse().read()
        times.append((time.perf_counter() - since) * 1000)
    return f"median {statistics.median(times):.1f} ms, p95 {p95(times):.1f} ms"


@contextmanager
def running(client: Callable[[Event], str], words: Counter[str]) -> Iterator[None]:
    """Run a slow client until the block ends, and count how it fared."""
    ended = Event()

    def run() -> None:
        try:
            words[client(ended)] += 1
        except NO_ANSWER as error:
            words[type(error).__name__] += 1

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def slow_reader(service: OwnService, batch_id: str) -> Callable[[Event], str]:
    def read(ended: Event) -> str:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            connection.settimeout(30)
            connection.connect(("127.0.0.1", service.port))
            path = f"/batches/{batch_id}/results"
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            status = connection.recv(READ_BYTES).split(b" ")[1].decode()
            while connection.recv(READ_BYTES) and not ended.wait(INTERVAL_SECONDS):
                pass
        return f"reader {status}"

    return read


def slow_writer(service: OwnService, number: int) -> Callable[[Event], str]:
    def write(ended: Event) -> str:
        def pieces() -> Iterator[bytes]:
            while not ended.wait(INTERVAL_SECONDS):
                yield b'{"name": "John Doe"}\n'

        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": f"slow-{number}"}
        url = f"{service.url}/batches?vendor=sync"
        return f"upload {post_pieces(url, headers, pieces()).status}"

    return write
