"""Waits for Redis to report new entries, so that no worker has to poll."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread

import redis

from jobs.queue.keys import wake_key
from jobs.queue.redis import commands, connect

log = logging.getLogger(__name__)

BLOCK_SECONDS = 1.0
WAKE_LIFE_SECONDS = 60
END_SECONDS = 2.0


class Listener(Thread):
    """Blocks on the ends of streams, and calls `on_growth` with the names of those that grew."""

    def __init__(self, consumer: str, on_growth: Callable[[set[str]], None]) -> None:
        super().__init__(name="listener", daemon=True)
        self._on_growth = on_growth
        self._client = connect(BLOCK_SECONDS + 3)
        self._wake_key = wake_key(consumer)
        self._wake_end = "0-0"
        self._watched: dict[str, str] = {}  # the latest argument of `watch`
        self._ends: dict[str, str] = {}
        self._blocked_on: dict[str, str] = {}
        self._lock = Lock()
        self._is_ended = False

    def watch(self, ends: dict[str, str]) -> None:
        """Wait for entries after these ends of streams, and for no others. Raises
        redis.RedisError.
        """
        if ends == self._watched:
            return
        self._watched = ends
        with self._lock:
            self._ends = {
                stream: max(end, self._ends.get(stream, "0-0"), key=_order)
                for stream, end in ends.items()
            }
            has_new = not self._ends.keys() <= self._blocked_on.keys()
        if has_new:
            self._wake()

    def end(self) -> None:
        """Stop listening."""
        self._is_ended = True
        with suppress(redis.RedisError):
            self._wake()
            self.join(END_SECONDS)

    def run(self) -> None:
        while not self._is_ended:
            try:
                self._listen()
            except redis.RedisError:
                # The worker's own commands fail as well, and it logs that.
                time.sleep(BLOCK_SECONDS)

    def _listen(self) -> None:
        with self._lock:
            self._blocked_on = dict(self._ends)
        watched = {**self._blocked_on, self._wake_key: self._wake_end}
        grown = self._client.xread(watched, block=int(BLOCK_SECONDS * 1000), count=100) or []
        with self._lock:
            for stream, entries in grown:
                if stream in self._ends:
                    self._ends[stream] = max(entries[-1][0], self._ends[stream], key=_order)
                elif stream == self._wake_key:
                    self._wake_end = entries[-1][0]
        if streams := {stream for stream, _ in grown} - {self._wake_key}:
            self._on_growth(streams)

    def _wake(self) -> None:
        """End the blocking read, by an entry in a stream of this worker's own.

        Unlike CLIENT UNBLOCK, that also ends a read that is about to begin.
        """
        pipeline = commands().pipeline(transaction=False)
        pipeline.xadd(self._wake_key, {"wake": "1"}, maxlen=1, approximate=False)
        pipeline.expire(self._wake_key, WAKE_LIFE_SECONDS)
        pipeline.execute()


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
