"""The vendor of a campaign: a real HTTP server that behaves as each job's plan says, and keeps a ledger of it.

    python -m chaos.vendor --port P --seed S --ledger FILE

`POST /<slug>` is a call of the vendor of that name: answered at once, or with 202 and by callbacks where its body has a
callback_url. Those of the vendor "signed" are signed with CHAOS_WEBHOOK_SECRET. `POST /control` with {"vendor": slug, "mood":
mood, "seconds": n} puts that mood over all its calls for so long; `GET /control` says what is going on. SIGTERM ends it.
"""

import argparse
import heapq
import json
import os
import signal
import socket
import struct
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Condition, Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chaos.ledger import Answered, Arrival, Callback, Ledger
from chaos.plans import EVERY_MOOD, Plan, is_charged, plan_of, result_of, run_of
from vendors.mock.callbacks import key_of, sign

SECRET_ENV = "CHAOS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
SIGNED = "signed"

TIMEOUT_SECONDS = 8.0  # twice what the campaign's calls may take
HANG_SECONDS = 30.0
DRIP_SECONDS = 1.0
DRIP_BYTES = 8
ENDLESS_BYTES = 3 * 1024 * 1024
PIECE = b"x" * 65536
DEEP_LEVELS = 500
RESET_AFTER_SECONDS = 0.05  # so that what was sent before has come

POST_SECONDS = 3.0  # less than a call may take, for an early callback is posted within one
AGAIN_AFTER_SECONDS = (0.5, 1, 2, 4, 8, 15, 15, 15, 15, 15)  # 90 s together
SECOND_SECONDS = 0.5  # between the first and the last of duplicates, or garbage and the genuine callback
FORGED_SECONDS = 1.0  # between the forged callbacks and the genuine one
REPLAYED_SECONDS = 3.0
HELD_SECONDS = 3.0
LATE_SECONDS = 20.0  # the campaign waits for 15

STATUSES = {
    "500": 500,
    "500_after_work": 500,
    "503": 503,
    "429_seconds": 429,
    "429_date": 429,
    "refused": 400,
    "redirect": 302,
    "denied": 401,
}
SILENT = ("timeout", "hang", "reset")
CUT_SHORT = (*SILENT, "reset_midway", "drip", "endless")


@dataclass(frozen=True)
class Call:
    """One call, and what is to become of it."""

    vendor: str
    key: str
    number: int
    mood: str
    plan: Plan
    result: dict[str, Any]
    callback_url: str = ""  # empty for a sync vendor
    other_url: str = ""  # the callback URL of another job of this vendor, for forgers

    @property
    def callback(self) -> str:
        return self.plan.callback_of(run_of(self.key), self.number)

    @property
    def status(self) -> int | None:
        """What it is answered with; None where it is not answered."""
        return None if self.mood in SILENT else STATUSES.get(self.mood, 202 if self.callback_url else 200)

    @property
    def attempt(self) -> int | None:
        """The attempt that the callback URL's token names."""
        parts = token_of(self.callback_url).split(".")
        return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else None

    def body(self) -> bytes:
        answer: Any = {"accepted": True} if self.callback_url else self.result
        match self.mood:
            case mood if mood in STATUSES:
                answer = {"error": mood}
            case "array":
                answer = [answer]
            case "nan":
                answer = {**answer, "nan": float("nan")}
            case "deep":
                answer = {**answer, "deep": json.loads("[" * DEEP_LEVELS + "]" * DEEP_LEVELS)}
            case "html":
                return b"<!doctype html><title>Back soon</title>"
        body = json.dumps(answer).encode()
        return body[:-2] if self.mood == "truncated_json" else body

    def headers(self, now: datetime) -> dict[str, str]:
        match self.mood:
            case "429_seconds":
                return {"Retry-After": "1"}
            case "429_date":
                return {"Retry-After": format_datetime(now + timedelta(seconds=2), usegmt=True)}
            case "redirect":
                return {"Location": f"/{self.vendor}"}
        return {}


@dataclass(frozen=True)
class Message:
    """A callback to be posted. Repeated, it is the same to the letter, signature and all."""

    call: Call
    kind: str
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    replays: int = 0  # after it was taken

    @property
    def is_forged(self) -> bool:
        return self.kind.startswith("forged")


class Pen:
    """Writes the callbacks of a call, those that are not the vendor's included."""

    def __init__(self, signing_key: bytes) -> None:
        self._key = signing_key

    def messages(self, call: Call) -> list[tuple[float, Message]]:
        """Return what is to be posted for a call that did the work, each with the seconds until then."""
        genuine = self._message(call, "genuine", call.callback_url, call.result)
        soon = call.plan.callback_seconds
        held_seconds = {"out_of_order": HELD_SECONDS, "late": LATE_SECONDS}
        match call.callback:
            case "lost":
                return []
            case "duplicate":
                return [(soon, genuine), (soon, genuine), (soon + SECOND_SECONDS, genuine)]
            case "replayed":
                return [(soon, replace(genuine, replays=1))]
            case "forged":
                return [*((0.0, forged) for forged in self._forged(call)), (FORGED_SECONDS, genuine)]
            case "garbage":
                garbage = self._message(call, "garbage", call.callback_url, [call.result])
                return [(soon, garbage), (soon + SECOND_SECONDS, genuine)]
        return [(held_seconds.get(call.callback, soon), genuine)]

    def _forged(self, call: Call) -> list[Message]:
        """All but the last are signed rightly where signatures are asked for: the token alone is to give them away."""
        bare, other = call.callback_url.partition("?")[0], call.other_url
        urls = {"forged_no_token": bare, "forged_garbage_token": f"{bare}?token=1.1.garbage"}
        if other:
            urls["forged_other_token"] = f"{bare}?token={token_of(other)}"
            urls["forged_other_url"] = f"{other.partition('?')[0]}?token={token_of(call.callback_url)}"
        result = {**call.result, "forged": True}
        messages = [self._message(call, kind, url, result) for kind, url in urls.items()]
        if call.vendor == SIGNED and self._key:
            messages.append(Pen(b"a forger's own")._message(call, "forged_signature", call.callback_url, result))
        return messages

    def _message(self, call: Call, kind: str, url: str, value: Any) -> Message:
        body, headers = json.dumps(value).encode(), {"Content-Type": "application/json"}
        if call.vendor == SIGNED and self._key:
            message_id, now = f"msg_{uuid.uuid4().hex}", int(time.time())
            signature = sign(self._key, message_id, now, body)
            headers |= {"webhook-id": message_id, "webhook-timestamp": str(now), "webhook-signature": signature}
        return Message(call, kind, url, body, headers)


class Postman:
    """Waits for what is due, and posts each in a thread of its own; again and again where nobody takes it."""

    def __init__(self, ledger: Ledger) -> None:
        self.open = 0  # messages that are still to be posted
        self._ledger = ledger
        self._changed = Condition()
        self._later: list[tuple[float, int, Message]] = []  # a heap by the time when each is due
        self._numbers = count()  # where two are due at once, the older goes first
        Thread(target=self._watch, name="postman", daemon=True).start()

    def post_later(self, message: Message, delay_seconds: float) -> None:
        with self._changed:
            self.open += 1
            heapq.heappush(self._later, (time.monotonic() + delay_seconds, next(self._numbers), message))
            self._changed.notify()

    def post(self, message: Message) -> None:
        """Post it now, and later again where nobody took it or it is to be replayed."""
        status = _status(message)
        call = message.call
        self._ledger.write(Callback(time.time(), call.vendor, call.key, call.number, message.kind, status))
        is_taken = isinstance(status, int) and (200 <= status <= 299 or 400 <= status <= 499)
        if is_taken and message.replays:
            self.post_later(replace(message, replays=message.replays - 1), REPLAYED_SECONDS)
        elif not is_taken and not message.is_forged and message.failures < len(AGAIN_AFTER_SECONDS):
            self.post_later(replace(message, failures=message.failures + 1), AGAIN_AFTER_SECONDS[message.failures])

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._later or self._later[0][0] > time.monotonic():
                    self._changed.wait(self._later[0][0] - time.monotonic() if self._later else None)
                message = heapq.heappop(self._later)[2]
            Thread(target=self._deliver, args=(message,), name="callback", daemon=True).start()

    def _deliver(self, message: Message) -> None:
        self.post(message)
        with self._changed:
            self.open -= 1


def _status(message: Message) -> int | str:
    """Post a message, and return the status of the answer or the name of what went wrong."""
    try:
        parts = urlsplit(message.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=POST_SECONDS)
    except (HTTPException, ValueError) as error:
        return type(error).__name__
    try:
        connection.request("POST", f"{parts.path}?{parts.query}", message.body, message.headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, HTTPException, ValueError) as error:
        return type(error).__name__
    finally:
        connection.close()


def token_of(callback_url: str) -> str:
    return parse_qs(urlsplit(callback_url).query).get("token", [""])[0]


class Vendor(ThreadingHTTPServer):
    """All vendors of a campaign, told apart by their path."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int, seed: int, ledger: Ledger, secret: str = "") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.calls = 0
        self.ledger = ledger
        self.postman = Postman(ledger)
        self.stopped = Event()  # whoever dawdles waits for this
        self._seed = seed
        self._pen = Pen(key_of(secret))
        self._lock = Lock()
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._newest_urls: dict[str, str] = {}
        self._faults: dict[str, tuple[str, float]] = {}  # a vendor's mood, and until when, in monotonic seconds

    def server_close(self) -> None:
        self.stopped.set()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed or cut off breaks its connection; that is the point."""

    def disturb(self, vendor: str, mood: str, seconds: float) -> None:
        self._faults[vendor] = (mood, time.monotonic() + seconds)

    def arrive(self, at: float, vendor: str, key: str, given: dict[str, Any]) -> Call:
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
        self.ledger.write(Arrival(at, vendor, key, number, serial, mood, call.attempt))
        return call

    def call_back(self, call: Call) -> None:
        """Have the callbacks of a call posted; an early one is posted, and answered, before this returns."""
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
        self._send(200, json.dumps({"calls": self.server.calls, "callbacks_open": self.server.postman.open}).encode())

    def do_POST(self) -> None:  # the library's name
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # the client has gone before it had said all: that is no call
            return
        try:
            given = dict(json.loads(body))
            if self.path == "/control":
                self._control(**given)
                return
            call = self.server.arrive(self.at, self.path.strip("/"), self.headers.get("Idempotency-Key", ""), given)
        except (KeyError, TypeError, ValueError) as error:
            self._send(400, json.dumps({"error": f"That is not what this vendor takes: {error!r}"}).encode())
            return
        self._deal_with(call)

    def _control(self, vendor: str, mood: str, seconds: float) -> None:
        if mood not in EVERY_MOOD:
            raise ValueError(f"There is no mood {mood!r}; there are {', '.join(sorted(EVERY_MOOD))}.")
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
        answered = Answered(time.time(), call.vendor, call.key, call.number, call.status, whole, is_charged(call.mood))
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
        """Close so that the other side gets a reset; the server would say a proper end before it closes."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._send_head(status, len(body), headers)
        self.wfile.write(body)

    def _send_head(self, status: int, length: int | None, headers: dict[str, str] | None = None) -> None:
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="0 for any that is free")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--ledger", type=Path, required=True, help="the file that the ledger is appended to")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    vendor = Vendor(options.port, options.seed, Ledger(options.ledger), os.environ.get(SECRET_ENV, ""))
    sys.stdout.write(f"The vendor listens on 127.0.0.1:{vendor.server_port}\n")
    sys.stdout.flush()
    vendor.serve_forever()


if __name__ == "__main__":
    main()
