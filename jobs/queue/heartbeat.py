"""A worker's sign of life, given by a thread and a connection of its own."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import redis

from jobs.queue.clock import clock
from jobs.queue.keys import BEATS, UNUSABLE
from jobs.queue.redis import connect
from jobs.queue.redis_errors import refusal
from jobs.queue.scripts import script

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
SILENT_SECONDS = 5.0  # a worker that has not beaten for that long is suspected
MAX_SEEN = 1000


@dataclass(frozen=True)
class Worker:
    """A worker that has beaten and was neither stopped nor taken over since."""

    name: str
    silent_seconds: float

    @property
    def is_alive(self) -> bool:
        return self.silent_seconds <= SILENT_SECONDS


def workers_of(beats: Iterable[tuple[str, float]], now_us: int) -> list[Worker]:
    """Return the workers of these last beats (in milliseconds), by the time of Redis in microseconds."""
    return [Worker(name, max(now_us / 1e6 - beat_ms / 1000, 0.0)) for name, beat_ms in beats]


def seen(client: Any) -> list[Worker]:
    """Return up to MAX_SEEN workers, whoever has beaten last first. Raises redis.RedisError."""
    seconds, microseconds = client.time()
    return workers_of(client.zrevrange(BEATS, 0, MAX_SEEN - 1, withscores=True), seconds * 1_000_000 + microseconds)


def why_none_is_alive(workers: Iterable[Worker]) -> str:
    """Return what is wrong, and what to do; empty where one of the workers is alive."""
    silences = [worker.silent_seconds for worker in workers]
    if not silences:
        return "No worker is alive. Start one: manage.py run_worker."
    if min(silences) <= SILENT_SECONDS:
        return ""
    silent = f"the last one has been silent for {min(silences):.0f} s"
    return f"No worker is alive: {silent}. It may be frozen. Restart it, or start another: manage.py run_worker."


def workers_alive(client: Any) -> list[str]:
    """Return the workers that have beaten of late, by the clock of Redis. Raises redis.RedisError."""
    seconds, microseconds = client.time()
    return list(client.zrangebyscore(BEATS, (seconds - SILENT_SECONDS) * 1000 + microseconds / 1000, "+inf"))


class Beat(Thread):
    """Beats every second. `redis_run_id` tells which Redis has heard it last; empty before the first beat."""

    def __init__(self, consumer: str) -> None:
        super().__init__(name="beat", daemon=True)
        self.redis_run_id = ""
        self.refused: redis.RedisError | None = None  # set while Redis answers, and takes no beat
        self.report = ""  # which vendors the worker can't call (jobs.recovery.unusable)
        self._consumer = consumer
        self._client = connect(BEAT_SECONDS)
        self._ended = Event()

    def beat(self) -> None:
        """Beat once, and set our clock by that of Redis. Raises redis.RedisError."""
        asked_at = time.monotonic()
        keys, args = [BEATS, UNUSABLE], [self._consumer, self.report]
        self.redis_run_id, now_us = script("beat")(keys=keys, args=args, client=self._client)
        clock.hear(int(now_us) / 1e6, asked_at)

    def run(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            self.try_to_beat()

    def try_to_beat(self) -> None:
        try:
            self.beat()
            self.refused = None
        except redis.RedisError as error:
            self.refused = error if refusal(error) else None
            log.debug("a beat was not heard: %s", type(error).__name__)

    def end(self) -> None:
        """Beat no more, and be forgotten: this worker leaves nothing behind."""
        self._ended.set()
        self.join()
        try:
            self._client.zrem(BEATS, self._consumer)
            self._client.hdel(UNUSABLE, self._consumer)
        except redis.RedisError as error:
            log.debug("the worker was not signed off: %s", type(error).__name__)
