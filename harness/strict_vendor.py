"""A vendor that enforces a limit as strictly as vendors do: at arrival, by its own clock, and in
four ways at once.

It answers 429, without Retry-After, as soon as one of the four refuses. `sliding` is at most
`calls` arrivals in any window, wherever it begins; `fixed` a window that opens with the first
arrival after the last one closed; `aligned` windows of the clock, as in "per calendar second";
`bucket` a token bucket that holds `calls` and is refilled evenly.
"""

import json
import random
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

Judge = Callable[
    [float], bool
]  # whether it lets a call in that arrives now; a call that it lets in is counted


def sliding(calls: int, seconds: float) -> Judge:
    arrivals: deque[float] = deque(maxlen=calls)

    def lets_in(now: float) -> bool:
        if len(arrivals) == calls and now - arrivals[0] < seconds:
            return False
        arrivals.append(now)
        return True

    return lets_in


def fixed(calls: int, seconds: float) -> Judge:
    return _windows(calls, seconds, opens_at=lambda now: now)


def aligned(calls: int, seconds: float) -> Judge:
    return _windows(calls, seconds, opens_at=lambda now: now - now % seconds)


def _windows(calls: int, seconds: float, opens_at: Callable[[float], float]) -> Judge:
    opened, count = float("-inf"), 0

    def lets_in(now: float) -> bool:
        nonlocal opened, count
        if now - opened >= seconds:
            opened, count = opens_at(now), 0
        count += 1
        return count <= calls

    return lets_in


def bucket(calls: int, seconds: float) -> Judge:
    tokens, filled_at = float(calls), 0.0

    def lets_in(now: float) -> bool:
        nonlocal tokens, filled_at
        tokens, filled_at = min(calls, tokens + (now - filled_at) * calls / seconds), now
        if tokens < 1:
            return False
        tokens -= 1
        return True

    return lets_in


JUDGES = {"sliding": sliding, "fixed": fixed, "aligned": aligned, "bucket": bucket}


class StrictVendor(ThreadingHTTPServer):
    """Serves until it is shut down. `jitter_seconds`: each arrival is delayed by a random time up
    to that, as on a network.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, calls: int, seconds: float = 1, *, jitter_seconds: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.jitter_seconds = jitter_seconds
        self.arrivals: list[float] = []  # of calls that were let in, in monotonic seconds
        self.refusals: Counter[str] = Counter()  # by judge
        self._judges = {name: judge(calls, seconds) for name, judge in JUDGES.items()}
        self._lock = Lock()
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def lets_in(self) -> bool:
        with self._lock:
            now = time.monotonic()
            refusing = [name for name, lets_in in self._judges.items() if not lets_in(now)]
            self.refusals.update(refusing)
            if not refusing:
                self.arrivals.append(now)
            return not refusing

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that ends breaks its connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StrictVendor

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:  # the library's name
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(random.random() * self.server.jitter_seconds)
        status, answer = (
            (200, {"name": body.get("name")})
            if self.server.lets_in()
            else (429, {"error": "slow down"})
        )
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """The counts say it all."""
