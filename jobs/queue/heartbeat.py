"""A worker's sign of life, given by a thread and a connection of its own."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import redis

from jobs.queue.clock import clock
from jobs.queue.keys import HEARTBEATS, UNUSABLE
from jobs.queue.redis import connect
from jobs.queue.redis_errors import refusal
from jobs.queue.scripts import script

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_SECONDS = 1.0
HEARTBEAT_TIMEOUT_SECONDS = 5.0  # a worker that has not beaten for that long is suspected
MAX_SEEN = 1000


@dataclass(frozen=True)
class SeenWorker:
    """A worker that has beaten and was neither stopped nor taken over since."""

    name: str
    silent_seconds: float

    @property
    def is_alive(self) -> bool:
        return self.silent_seconds <= HEARTBEAT_TIMEOUT_SECONDS


def workers_of(heartbeats: Iterable[tuple[str, float]], now_us: int) -> list[SeenWorker]:
    """Return the workers of these last heartbeats (in milliseconds), by the time of Redis in
    microseconds.
    """
    return [
        SeenWorker(name, max(now_us / 1e6 - heartbeat_ms / 1000, 0.0))
        for name, heartbeat_ms in heartbeats
    ]


def seen(client: Any) -> list[SeenWorker]:
    """Return up to MAX_SEEN workers, whoever has beaten last first. Raises redis.RedisError."""
    seconds, microseconds = client.time()
    return workers_of(
        client.zrevrange(HEARTBEATS, 0, MAX_SEEN - 1, withscores=True),
        seconds * 1_000_000 + microseconds,
    )


def why_none_is_alive(workers: Iterable[SeenWorker]) -> str:
    """Return what is wrong, and what to do; empty where one of the workers is alive."""
    silences = [worker.silent_seconds for worker in workers]
    if not silences:
        return "No worker is alive. Start one: manage.py run_worker."
    if min(silences) <= HEARTBEAT_TIMEOUT_SECONDS:
        return ""
    silent = f"the last one has been silent for {min(silences):.0f} s"
    return f"No worker is alive: {silent}. It may be frozen. Restart it, or start another: manage.py run_worker."


def workers_alive(client: Any) -> list[str]:
    """Return the workers that have beaten of late, by the clock of Redis. Raises redis.RedisError."""
    seconds, microseconds = client.time()
    return list(
        client.zrangebyscore(
            HEARTBEATS, (seconds - HEARTBEAT_TIMEOUT_SECONDS) * 1000 + microseconds / 1000, "+inf"
        )
    )


class Heartbeat(Thread):
    """Sends a heartbeat every second. `redis_run_id` tells which Redis has heard it last; empty
    before the first beat.
    """

    def __init__(self, consumer: str) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.redis_run_id = ""
        self.refused: redis.RedisError | None = None  # set while Redis answers, and takes no beat
        self.report = ""  # which vendors the worker can't call (jobs.recovery.unusable)
        self._consumer = consumer
        self._client = connect(HEARTBEAT_INTERVAL_SECONDS)
        self._ended = Event()

    def send(self) -> None:
        """Send one heartbeat, and set our clock by that of Redis. Raises redis.RedisError."""
        asked_at = time.monotonic()
        keys, args = [HEARTBEATS, UNUSABLE], [self._consumer, self.report]
        self.redis_run_id, now_us = script("heartbeat")(keys=keys, args=args, client=self._client)
        clock.hear(int(now_us) / 1e6, asked_at)

    def run(self) -> None:
        while not self._ended.wait(HEARTBEAT_INTERVAL_SECONDS):
            self.try_send()

    def try_send(self) -> None:
        try:
            self.send()
            self.refused = None
        except redis.RedisError as error:
            self.refused = error if refusal(error) else None
            log.debug("a heartbeat was not sent: %s", type(error).__name__)

    def end(self) -> None:
        """Stop, and be forgotten: this worker leaves nothing behind."""
        self._ended.set()
        self.join()
        try:
            self._client.zrem(HEARTBEATS, self._consumer)
            self._client.hdel(UNUSABLE, self._consumer)
        except redis.RedisError as error:
            log.debug("the worker was not signed off: %s", type(error).__name__)
