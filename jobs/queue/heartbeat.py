"""A worker's heartbeat, sent by a thread with its own connection."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, NamedTuple

import redis

from jobs.queue.clock import redis_clock
from jobs.queue.keys import HEARTBEATS, ORDERS, UNUSABLE, WORKERS
from jobs.queue.redis import connect, script
from jobs.queue.redis_errors import refusal
from jobs.queue.workers import Order, WorkerFacts

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_SECONDS = 1.0
HEARTBEAT_TIMEOUT_SECONDS = 5.0  # without a heartbeat for this long, a worker counts as silent
MAX_WORKERS_READ = 1000
CAN_CALL_ALL = "[{}, null]"  # the report of a worker that sends none
WORKS_FOR_NONE = "[{}, []]"


@dataclass(frozen=True)
class WorkerHeartbeat:
    """The last heartbeat of a worker that has neither stopped nor been taken over."""

    name: str
    silent_seconds: float

    @property
    def is_alive(self) -> bool:
        return self.silent_seconds <= HEARTBEAT_TIMEOUT_SECONDS


class WorkerReport(NamedTuple):
    """What one worker reports of the vendors that it works for."""

    # Why it can't call these vendors, and why it can't use these keys, as "credential/KEY".
    why: dict[str, str]
    only: list[str] | None  # the vendors it works for; None: all

    def serves(self, name: str) -> bool:
        """Whether it can call a vendor, or use a key."""
        works_for = self.only is None or name in self.only or "/" in name
        return works_for and name not in self.why


def parse_reports(workers: Iterable[str], texts: Mapping[str, str]) -> list[WorkerReport]:
    """Return the reports of these workers, given the hash at UNUSABLE."""
    found = (json.loads(texts.get(worker, CAN_CALL_ALL)) for worker in workers)
    return [WorkerReport(*parts) for parts in found]


def parse_heartbeats(scores: Iterable[tuple[str, float]], now_us: int) -> list[WorkerHeartbeat]:
    """Return the heartbeats in a reply of ZRANGE WITHSCORES (milliseconds). `now_us`: Redis' time
    in microseconds.
    """
    return [
        WorkerHeartbeat(name, max(now_us / 1e6 - sent_ms / 1000, 0.0)) for name, sent_ms in scores
    ]


def read_heartbeats(client: Any) -> list[WorkerHeartbeat]:
    """Return up to MAX_WORKERS_READ heartbeats, newest first. Raises redis.RedisError."""
    seconds, microseconds = client.time()
    scores = client.zrevrange(HEARTBEATS, 0, MAX_WORKERS_READ - 1, withscores=True)
    return parse_heartbeats(scores, seconds * 1_000_000 + microseconds)


def no_live_worker_message(workers: Iterable[WorkerHeartbeat]) -> str:
    """Return the problem and its remedy if no worker is alive, else ''."""
    silences = [worker.silent_seconds for worker in workers]
    if not silences:
        return "No worker is alive. Start one: manage.py run_worker."
    if min(silences) <= HEARTBEAT_TIMEOUT_SECONDS:
        return ""
    silent = f"the last one has been silent for {min(silences):.0f} s"
    remedy = "It may be frozen. Restart it, or start another: manage.py run_worker."
    return f"No worker is alive: {silent}. {remedy}"


def live_workers(client: Any) -> list[str]:
    """Return the names of the workers that are alive. Raises redis.RedisError."""
    seconds, microseconds = client.time()
    since_ms = (seconds - HEARTBEAT_TIMEOUT_SECONDS) * 1000 + microseconds / 1000
    return list(client.zrangebyscore(HEARTBEATS, since_ms, "+inf"))


class Heartbeat(Thread):
    """Sends a heartbeat every second, with what `facts` returns, and gives each order that it hears
    to `obey`.

    `redis_run_id` identifies the Redis process that took the last heartbeat; '' before the first.
    """

    def __init__(
        self,
        consumer: str,
        facts: Callable[[], WorkerFacts] = WorkerFacts,
        obey: Callable[[Order], None] = lambda order: None,
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.redis_run_id = ""
        self.refused: redis.RedisError | None = None  # why Redis refuses heartbeats, if it does
        self.report = ""  # the vendors this worker can't call (jobs.recovery.unusable.report)
        self._consumer = consumer
        self._facts, self._obey = facts, obey
        self._obeyed = ""  # the last order, which Redis keeps until it knows that it was heard
        self._client = connect(HEARTBEAT_INTERVAL_SECONDS)
        self._ended = Event()

    def send(self) -> None:
        """Send one heartbeat, set redis_clock from the reply and obey the order in it. Raises
        redis.RedisError.
        """
        asked_at, facts = time.monotonic(), self._facts()
        # One that takes nothing more, since it is drained or stops, works for no vendor.
        report = WORKS_FOR_NONE if facts.state else self.report
        self.redis_run_id, now_us, order = script("heartbeat")(
            keys=[HEARTBEATS, UNUSABLE, WORKERS, ORDERS],
            args=[self._consumer, report, facts.as_text(), self._obeyed],
            client=self._client,
        )
        redis_clock.hear(int(now_us) / 1e6, asked_at)
        if order and order != self._obeyed:
            self._obeyed = order
            with suppress(ValueError):  # an order of a later version
                self._obey(Order(order.partition(" ")[0]))

    def run(self) -> None:
        while not self._ended.wait(HEARTBEAT_INTERVAL_SECONDS):
            self.try_send()

    def try_send(self) -> None:
        try:
            self.send()
            self.refused = None
        except redis.RedisError as error:
            self.refused = error if refusal(error) else None
            log.debug("heartbeat failed: %s", type(error).__name__)

    def end(self) -> None:
        """Stop, and remove this worker from Redis."""
        self._ended.set()
        self.join()
        try:
            self._client.zrem(HEARTBEATS, self._consumer)
            for key in (UNUSABLE, WORKERS, ORDERS):
                self._client.hdel(key, self._consumer)
        except redis.RedisError as error:
            log.debug("could not remove this worker from Redis: %s", type(error).__name__)
