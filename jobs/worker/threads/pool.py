"""Threads that run tasks, no more of them awake than the tasks need.

A switch between threads costs a good part of a quick call. So one thread is woken when tasks come,
and goes on for as long as there are some. Only if no task is begun for a millisecond although one
could be, `_watch` wakes more. Quick calls are thus made by one or two threads, and slow ones by as
many as their vendors may have.
"""

import time
from collections.abc import Callable, Iterable
from threading import Condition, Event, Lock, Thread
from typing import Any, Generic, TypeVar

from jobs.worker.threads.fair_queue import FairQueue

T = TypeVar("T")

QUICK_SECONDS = 0.001  # a call is quick if it takes less; tasks are stalled if none begins for that
CHECK_INTERVAL_SECONDS = 0.004  # between checks for stalled tasks, while they are not


class ParkedThread(Thread):
    """A thread that starts when it is first woken, and can park itself until it is woken again."""

    def __init__(self, name: str, run: Callable[["ParkedThread"], Any]) -> None:
        super().__init__(name=name, target=run, args=(self,), daemon=True)
        self._parked = Lock()
        self._parked.acquire()

    def wake(self) -> None:
        if self.ident is None:
            self.start()
        else:
            self._parked.release()

    def park(self) -> None:
        self._parked.acquire()


class Pool(Generic[T]):
    """Calls `work` with each task in one of `threads` threads, and then `on_end`."""

    def __init__(self, threads: int, work: Callable[[T], None], on_end: Callable[[], None]) -> None:
        self._work = work
        self._on_end = on_end
        self._queue = FairQueue[T](threads)
        self._changed = Condition(Lock())  # guards the queue and the next two
        self._parked = [ParkedThread(f"call-{n}", self._run) for n in range(threads, 0, -1)]
        self._latest: Thread | None = None  # has begun the latest task
        self._may_stall = Event()
        Thread(target=self._watch, name="call-watch", daemon=True).start()

    def room(self, slug: str, *, ahead: bool = False) -> int:
        """Return how many more tasks of the vendor may be put; `ahead`: beyond its threads."""
        with self._changed:
            return self._queue.room(slug, time.monotonic(), ahead=ahead)

    @property
    def busy(self) -> int:
        return self._queue.count  # tasks that wait or run

    def put(self, tasks: Iterable[tuple[str, T]]) -> None:
        """Run tasks, each given with the slug of its vendor."""
        with self._changed:
            self._queue.put(tasks, time.monotonic())
        self._wake(1)
        self._may_stall.set()

    def seconds_left(self) -> float:
        """Return how long the waiting tasks will last; 0 if that is unknown."""
        with self._changed:
            return self._queue.seconds_left(time.monotonic())

    def remove_waiting(self, longer_than_seconds: float) -> list[T]:
        """Remove and return the tasks that have waited for longer."""
        with self._changed:
            self._changed.notify_all()
            return self._queue.remove_late(time.monotonic() - longer_than_seconds)

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Wait until no task is left. Returns False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue.count, timeout_seconds)

    def _run(self, thread: ParkedThread) -> None:
        was_quick = False
        while True:
            slug, task = self._next(thread, was_quick)
            began_at = time.monotonic()
            try:
                self._work(task)
            finally:
                ended_at = time.monotonic()
                was_quick = ended_at - began_at < QUICK_SECONDS
                with self._changed:
                    self._queue.end(slug, ended_at)
                    self._changed.notify_all()
                self._on_end()

    def _next(self, thread: ParkedThread, was_quick: bool) -> tuple[str, T]:
        """Return the next task. Parks the thread while there is none for it."""
        while True:
            with self._changed:
                # Two threads with quick calls only alternate; the one that began last goes on.
                is_needed = not was_quick or self._latest is thread
                if is_needed and (begun := self._queue.begin()):
                    self._latest = thread
                    return begun
                self._parked.append(thread)
                if self._queue.has_waiting():
                    self._may_stall.set()  # the one that goes on alone may hang
            thread.park()
            was_quick = False

    def _watch(self) -> None:
        """Wake threads while tasks are stalled: one, then twice as many each time."""
        while True:
            self._may_stall.wait()
            self._may_stall.clear()
            count, woken, begun = 0, 1, self._queue.begun  # `put` has woken one
            while self._wake(count):
                time.sleep(QUICK_SECONDS if woken else CHECK_INTERVAL_SECONDS)
                # If more tasks were begun than threads woken, threads come back by themselves.
                goes_on = self._queue.begun - begun > woken
                count = woken = 0 if goes_on else 2 * woken or 1
                begun = self._queue.begun

    def _wake(self, count: int) -> bool:
        """Wake up to `count` threads, the last parked first. Returns whether tasks can start."""
        with self._changed:
            startable = self._queue.startable()
            for _ in range(min(count, startable, len(self._parked))):
                self._parked.pop().wake()
            return startable > 0
