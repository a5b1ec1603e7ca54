"""Callbacks of the async mock vendor: posted when due, and retried a few times."""

import base64
import hashlib
import heapq
import hmac
import logging
import time
import uuid
from dataclasses import dataclass, field, replace
from itertools import count
from queue import SimpleQueue
from threading import Condition, Thread

import certifi
import urllib3

log = logging.getLogger(__name__)

THREADS = 32
TIMEOUT_SECONDS = 10
RETRY_AFTER_SECONDS = (1, 2, 4)


@dataclass(frozen=True)
class ScheduledCallback:
    """`key` signs it; if empty, it is not signed."""

    url: str
    body: bytes
    key: bytes = b""
    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")
    failures: int = 0

    def headers(self, now: int) -> dict[str, str]:
        plain = {"Content-Type": "application/json", "User-Agent": "mock-vendor"}
        if not self.key:
            return plain
        return {
            **plain,
            "webhook-id": self.id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(self.key, self.id, now, self.body),
        }


def sign(key: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the webhook-signature header of https://www.standardwebhooks.com."""
    digest = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret such as whsec_MfKQ9r8G. Raises ValueError if not base64."""
    return base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)


class Scheduler:
    """One thread waits for callbacks to be due, and THREADS others post them.

    The threads start with the first callback.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._later: list[tuple[float, int, ScheduledCallback]] = []  # a heap by due time
        self._numbers = count()  # of two that are due at once, the older comes first
        self._due: SimpleQueue[ScheduledCallback] = SimpleQueue()
        self._started = False

    def post(self, callback: ScheduledCallback, delay_seconds: float) -> None:
        with self._changed:
            due = (time.monotonic() + delay_seconds, next(self._numbers), callback)
            heapq.heappush(self._later, due)
            self._start()
            if self._later[0] is due:
                self._changed.notify()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for work in (self._watch, *[self._send] * THREADS):
                Thread(target=work, name="mock-callbacks", daemon=True).start()

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._later or self._later[0][0] > time.monotonic():
                    wait = self._later[0][0] - time.monotonic() if self._later else None
                    self._changed.wait(wait)
                self._due.put(heapq.heappop(self._later)[2])

    def _send(self) -> None:
        while True:
            callback = self._due.get()
            if failure := _post(callback):
                self._retry(callback, failure)

    def _retry(self, callback: ScheduledCallback, failure: str) -> None:
        failures = callback.failures + 1
        if failures <= len(RETRY_AFTER_SECONDS):
            self.post(replace(callback, failures=failures), RETRY_AFTER_SECONDS[failures - 1])
        else:
            # Without the URL, which carries a token.
            log.warning("Gave up callback %s after %s attempts: %s", callback.id, failures, failure)


def _post(callback: ScheduledCallback) -> str:
    """Post a callback. Returns why to retry it, or an empty string."""
    url, body, headers = callback.url, callback.body, callback.headers(int(time.time()))
    try:
        answer = _pool.request("POST", url, body=body, headers=headers, redirect=False)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        return type(error).__name__
    return f"status {answer.status}" if answer.status >= 500 else ""


# Not a Session of requests: it would take two thirds of the time of a callback.
_pool = urllib3.PoolManager(
    maxsize=THREADS, ca_certs=certifi.where(), timeout=TIMEOUT_SECONDS, retries=False
)
scheduler = Scheduler()
