"""The vendor of a campaign: a real HTTP server that behaves as each job's plan says, and keeps a
ledger of it.

python -m chaos.vendor [--host H] --port P --seed S --ledger FILE

`POST /<slug>` is a call of the vendor of that name: answered at once, or with 202 and by callbacks
where its body has a callback_url. Those of the vendor "signed" are signed with
VENDOR_CHAOS_WEBHOOK_SECRET. `POST /control` with {"vendor": slug, "mood": mood, "seconds": n} puts
that mood over all its calls for so long; `GET /control` says what is going on. SIGTERM ends it.
"""

import argparse
import json
import os
import signal
import socket
import struct
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock
from typing import Any
from urllib.parse import urlsplit

from chaos.callbacks import Pen, Postman
from chaos.calls import CUT_SHORT, Call
from chaos.ledger import Answered, Arrival, Ledger
from chaos.plans import EVERY_MOOD, is_charged, plan_of, result_of, run_of
from vendors.mock.callbacks import key_of

SECRET_ENV = "VENDOR_CHAOS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable

TIMEOUT_SECONDS = 8.0  # twice what the campaign's calls may take
HANG_SECONDS = 30.0
DRIP_SECONDS = 1.0
DRIP_BYTES = 8
ENDLESS_BYTES = 3 * 1024 * 1024
PIECE = b"x" * 65536
RESET_AFTER_SECONDS = 0.05  # so that what was sent before has come


class Vendor(ThreadingHTTPServer):
    """All vendors of a campaign, told apart by their path."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(
        self, port: int, seed: int, ledger: Ledger, secret: str = "", host: str = "127.0.0.1"
    ) -> None:
        super().__init__((host, port), _Handler)
        self.calls = 0
        self.ledger = ledger
        self.postman = Postman(ledger)
        self.stopped = Event()  # whoever dawdles waits for this
        self._seed = seed
        self._pen = Pen(key_of(secret))
        self._lock = Lock()
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._newest_urls: dict[str, str] = {}
        self._faults: dict[
            str, tuple[str, float]
        ] = {}  # a vendor's mood, and until when, in monotonic seconds

    def server_close(self) -> None:
        self.stopped.set()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed or cut off breaks its connection; that is the point."""

    def disturb(self, vendor: str, mood: str, seconds: float) -> None:
        self._faults[vendor] = (mood, time.monotonic() + seconds)

    def arrive(self, at: float, caller: str, vendor: str, key: str, given: dict[str, Any]) -> Call:
        """Write down that a call has come, and return it."""
        url, serial = str(given.get("callback_url", "")), int(given["serial"])
        with self._lock:
            self.calls += 1
            self._numbers[vendor, key] += 1
            number = self._numbers[vendor, key]
            other_url = self._newest_urls.get(vendor, "")
            self._newest_urls[vendor] = url
        if urlsplit(other_url).path == urlsplit(url).path:
            other_url = ""
        plan = plan_of(self._seed, serial, vendor)
        mood = self._fault(vendor) or plan.mood_of(run_of(key), number)
        result = result_of(self._seed, key, name=str(given["name"]), serial=serial, mood=mood)
        call = Call(vendor, key, number, mood, plan, result, url, other_url)
        self.ledger.write(Arrival(at, vendor, key, number, serial, mood, call.attempt, caller))
        return call

    def call_back(self, call: Call) -> None:
        """Have the callbacks of a call posted; an early one is posted, and answered, before this
        returns.
        """
        for delay_seconds, message in self._pen.messages(call):
            if call.callback == "early":
                self.postman.post(message)
            else:
                self.postman.post_later(message, delay_seconds)

    def _fault(self, vendor: str) -> str:
        mood, until = self._faults.get(vendor, ("", 0.0))
        return mood if time.monotonic() < until else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Vendor
    at = 0.0

    def parse_request(self) -> bool:
        self.at = time.time()  # the first line has come, and the rest of the head with it
        return super().parse_request()

    def do_GET(self) -> None:  # the library's name
        self._send(
            200,
            json.dumps(
                {"calls": self.server.calls, "callbacks_open": self.server.postman.open}
            ).encode(),
        )

    def do_POST(self) -> None:  # the library's name
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = (
                True  # the client has gone before it had said all: that is no call
            )
            return
        try:
            given = dict(json.loads(body))
            if self.path == "/control":
                self._control(**given)
                return
            key, caller = self.headers.get("Idempotency-Key", ""), self.client_address[0]
            call = self.server.arrive(self.at, caller, self.path.strip("/"), key, given)
        except (KeyError, TypeError, ValueError) as error:
            self._send(
                400,
                json.dumps({"error": f"That is not what this vendor takes: {error!r}"}).encode(),
            )
            return
        self._deal_with(call)

    def _control(self, vendor: str, mood: str, seconds: float) -> None:
        if mood not in EVERY_MOOD:
            raise ValueError(
                f"There is no mood {mood!r}; there are {', '.join(sorted(EVERY_MOOD))}."
            )
        self.server.disturb(vendor, mood, seconds)
        self._send(200, b"{}")

    def _deal_with(self, call: Call) -> None:
        if call.mood == "slow":
            self.server.stopped.wait(call.plan.slow_seconds)
        if call.callback_url and is_charged(call.mood):
            self.server.call_back(call)
        whole = call.mood not in CUT_SHORT
        try:
            self._answer(call)
        except OSError:
            whole, self.close_connection = False, True
        answered = Answered(
            time.time(),
            call.vendor,
            call.key,
            call.number,
            call.status,
            whole,
            is_charged(call.mood),
        )
        self.server.ledger.write(answered)

    def _answer(self, call: Call) -> None:
        body = call.body()
        match call.mood:
            case "timeout":
                self._hang(TIMEOUT_SECONDS)
            case "hang":
                self._hang(HANG_SECONDS)
            case "reset":
                self._reset()
            case "reset_midway":
                self._send_head(call.status or 0, len(body))
                self.wfile.write(body[: len(body) // 2])
                self.server.stopped.wait(RESET_AFTER_SECONDS)
                self._reset()
            case "drip":
                self._drip(call.status or 0, body)
            case "endless":
                self._never_end(call.status or 0)
            case _:
                self._send(call.status or 0, body, call.headers(datetime.now(UTC)))

    def _hang(self, seconds: float) -> None:
        self.close_connection = True
        self.server.stopped.wait(seconds)

    def _drip(self, status: int, body: bytes) -> None:
        self.close_connection = True
        self._send_head(status, len(body))
        for byte in body[:DRIP_BYTES]:
            self.wfile.write(bytes([byte]))
            self.server.stopped.wait(DRIP_SECONDS)

    def _never_end(self, status: int) -> None:
        self.close_connection = True
        self._send_head(status, None)
        for _ in range(ENDLESS_BYTES // len(PIECE)):
            self.wfile.write(PIECE)

    def _reset(self) -> None:
        """Close so that the other side gets a reset; the server would say a proper end before it
        closes.
        """
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._send_head(status, len(body), headers)
        self.wfile.write(body)

    def _send_head(
        self, status: int, length: int | None, headers: dict[str, str] | None = None
    ) -> None:
        """Send the head of an answer; one without a length ends with the connection."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """The ledger says it all."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 for any that is free")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--ledger", type=Path, required=True, help="the file that the ledger is appended to"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    vendor = Vendor(
        options.port,
        options.seed,
        Ledger(options.ledger),
        os.environ.get(SECRET_ENV, ""),
        options.host,
    )
    sys.stdout.write(f"The vendor listens on {options.host}:{vendor.server_port}\n")
    sys.stdout.flush()
    vendor.serve_forever()


if __name__ == "__main__":
    main()
