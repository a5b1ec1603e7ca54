"""A worker's sign of life, given by a thread and a connection of its own."""

import logging
import time
from threading import Event, Thread
from typing import Any

import redis

from jobs.clock import clock
from jobs.keys import BEATS, UNUSABLE
from jobs.redis import connect
from jobs.scripts import script

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
SILENT_SECONDS = 5.0  # a worker that has not beaten for that long is suspected


def workers_alive(client: Any) -> list[str]:
    """Return the workers that have beaten of late, by the clock of Redis. Raises redis.RedisError."""
    seconds, microseconds = client.time()
    return list(client.zrangebyscore(BEATS, (seconds - SILENT_SECONDS) * 1000 + microseconds / 1000, "+inf"))


class Beat(Thread):
    """Beats every second. `redis_run_id` tells which Redis has heard it last; empty before the first beat."""

    def __init__(self, consumer: str) -> None:
        super().__init__(name="beat", daemon=True)
        self.redis_run_id = ""
        self.report = ""  # which vendors the worker can't call (jobs.unusable)
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
        except redis.RedisError as error:
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
