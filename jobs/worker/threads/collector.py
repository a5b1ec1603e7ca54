"""Collects what threads have finished into groups, and passes them on in a thread of its own."""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_SIZE = 200
# It rests between small groups, so that what comes meanwhile shares the next one.
MIN_REST_SECONDS = 0.02
MAX_REST_SECONDS = 0.05
SLOW_SECONDS = 5.0  # a group that takes longer shows that the store can't keep up


class Collector(Thread, Generic[T]):
    """Calls `work` with up to MAX_SIZE items at a time, in the order in which they were put."""

    def __init__(self, work: Callable[[list[T]], None]) -> None:
        super().__init__(name="recorder", daemon=True)
        self._work = work
        self._items: SimpleQueue[T | None] = SimpleQueue()  # None: there are no more
        self._began_at: float | None = None  # the group under way, in monotonic seconds

    def put(self, item: T) -> None:
        self._items.put(item)

    @property
    def is_behind(self) -> bool:
        """Whether items come faster than they are worked off."""
        began_at = self._began_at
        is_slow = began_at is not None and time.monotonic() - began_at > SLOW_SECONDS
        return is_slow or self._items.qsize() > MAX_SIZE

    def finish(self, timeout_seconds: float) -> bool:
        """Work off what was put, and end. Returns False if that takes longer than the timeout."""
        self._items.put(None)
        self.join(timeout_seconds)
        return not self.is_alive()

    def run(self) -> None:
        while items := self._next():
            self._began_at = time.monotonic()
            self._work(items)
            took_seconds, self._began_at = time.monotonic() - self._began_at, None
            if 1 < len(items) < MAX_SIZE:
                time.sleep(min(max(2 * took_seconds, MIN_REST_SECONDS), MAX_REST_SECONDS))

    def _next(self) -> list[T]:
        """Wait for the next group. It is empty at the end."""
        item = self._items.get()
        items: list[T] = []
        while item is not None:
            items.append(item)
            if len(items) == MAX_SIZE:
                return items
            try:
                item = self._items.get_nowait()
            except Empty:
                return items
        if items:
            self._items.put(None)  # for the next round
        return items
