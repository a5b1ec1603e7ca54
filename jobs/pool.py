"""Threads that call vendors, shared so that no vendor can take them all."""

import math
from collections import Counter
from collections.abc import Callable
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

# A vendor may hold at most this many times as many threads as are free: alone two thirds of all, and a slow one leaves room
# for the next. (A. K. Choudhury, E. L. Hahne: Dynamic queue length thresholds for shared-memory packet switches, 1998.)
SHARE = 2


class Pool(Generic[T]):
    """Calls `work` with each task in one of a number of threads, and `on_end` after each."""

    def __init__(self, threads: int, work: Callable[[T], None], on_end: Callable[[], None]) -> None:
        self._threads = threads
        self._work = work
        self._on_end = on_end
        self._tasks: SimpleQueue[tuple[str, T]] = SimpleQueue()
        self._held: Counter[str] = Counter()
        self._busy = 0
        self._idle = Condition()
        for number in range(threads):
            Thread(target=self._run, name=f"call-{number}", daemon=True).start()

    def room(self, vendor: str) -> int:
        """Return how many more tasks of the vendor may start now."""
        with self._idle:
            free = self._threads - self._busy
            return min(free, max(0, math.ceil((SHARE * free - self._held[vendor]) / (SHARE + 1))))

    @property
    def busy(self) -> int:
        return self._busy

    def put(self, vendor: str, task: T) -> None:
        with self._idle:
            self._busy += 1
            self._held[vendor] += 1
        self._tasks.put((vendor, task))

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait for the tasks to end; False where some are still running after `seconds`."""
        with self._idle:
            return self._idle.wait_for(lambda: self._busy == 0, seconds)

    def _run(self) -> None:
        while True:
            vendor, task = self._tasks.get()
            try:
                self._work(task)
            finally:
                with self._idle:
                    self._busy -= 1
                    self._held[vendor] -= 1
                    self._idle.notify_all()
                self._on_end()
