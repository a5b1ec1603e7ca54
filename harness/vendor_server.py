"""A vendor for tests: a real HTTP server that keeps a ledger of arrivals and answers as it is told."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@dataclass(frozen=True)
class Arrival:
    at: float  # unix seconds
    key: str  # Idempotency-Key
    body: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


class VendorServer(ThreadingHTTPServer):
    """Answers each POST with `answer(arrival)`; an answer can wait on `hold` to keep the call under
    way.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.arrivals: list[Arrival] = []
        self.hold = Event()
        self.hold.set()
        self.answer: Callable[[Arrival], Answer] = lambda arrival: Answer(
            body={"name": arrival.body["name"], "info": "done"}
        )
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def keys(self) -> list[str]:
        return [arrival.key for arrival in self.arrivals]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that is killed in mid-call breaks its connection; that is the point."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: VendorServer

    def do_POST(self) -> None:  # the library's name
        at = time.time()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        arrival = Arrival(at, self.headers["Idempotency-Key"], body)
        self.server.arrivals.append(arrival)
        answer = self.server.answer(arrival)
        self.server.hold.wait(60)
        content = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in (*answer.headers, ("Content-Length", str(len(content)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Nothing to tell."""
