"""Threads that call vendors, shared so that no vendor can take them all, and no more of them than the calls need.

A thread that is awake goes on with the next task, and another is woken only where none comes for it: a vendor that answers
at once is best served by one or two threads, for each switch between them costs a good part of a call.
"""

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from threading import Condition, Event, Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

# A vendor may hold at most this many times as many threads as are free: alone two thirds of all, and a slow one leaves room
# for the next. (A. K. Choudhury, E. L. Hahne: Dynamic queue length thresholds for shared-memory packet switches, 1998.)
SHARE = 2
# How much work may wait for threads, by what a vendor's calls took of late: enough for large batches, soon done.
AHEAD_SECONDS = 0.1
MOST_AHEAD = 1000
MANY = 10  # calls ended in that time
NOTICE_SECONDS = 0.001  # where no task was begun for that long, more threads are woken
LOOK_SECONDS = 0.004  # how often that is looked at while all goes well


class Pool(Generic[T]):
    """Calls `work` with each task in one of at most `threads` threads, and `on_end` after each."""

    def __init__(self, threads: int, work: Callable[[T], None], on_end: Callable[[], None]) -> None:
        self._threads = threads
        self._work = work
        self._on_end = on_end
        self._waiting: dict[str, deque[tuple[float, T]]] = defaultdict(deque)  # since when, in monotonic seconds
        self._called: Counter[str] = Counter()
        self._ended: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MOST_AHEAD))
        self._count = 0  # of tasks that wait or are at work
        self._begun = 0  # and of those that were begun, ever
        self._parked: list[Lock] = []
        self._last: Lock | None = None  # whose thread has begun a task last
        self._made = 0
        self._lock = Lock()
        self._idle = Condition(self._lock)
        self._news = Event()
        Thread(target=self._watch, name="call-watch", daemon=True).start()

    def room(self, vendor: str, *, ahead: bool = False) -> int:
        """Return how many more tasks of the vendor may be put: as many as it may have threads, and ahead of time some more."""
        with self._lock:
            held = {
                slug: min(self._open(slug), self._share(self._threads, 0)) for slug in {vendor, *self._called, *self._waiting}
            }
            room = self._share(self._threads - sum(held.values()), held[vendor])
            if ahead:
                room += max(0, self._ended_of_late(vendor) - (self._open(vendor) - held[vendor]))
            return room

    @property
    def busy(self) -> int:
        """How many tasks wait or are at work."""
        with self._lock:
            return self._count

    def put(self, tasks: Iterable[tuple[str, T]]) -> None:
        """Have tasks done, each given with its vendor."""
        now = time.monotonic()
        with self._lock:
            for vendor, task in tasks:
                self._waiting[vendor].append((now, task))
                self._count += 1
        self._wake(1)
        self._news.set()

    def seconds_ahead(self) -> float:
        """Return how long the tasks that wait will last; 0 where calls end too seldom to tell."""
        with self._lock:
            rates = {vendor: self._ended_of_late(vendor) for vendor, tasks in self._waiting.items() if tasks}
            lasts = [len(self._waiting[vendor]) / rate if rate >= MANY else 0.0 for vendor, rate in rates.items()]
        return AHEAD_SECONDS * min(lasts, default=0.0)

    def take_back(self, seconds: float) -> list[T]:
        """Return the tasks that have waited for longer than that, and forget them."""
        since, late = time.monotonic() - seconds, []
        with self._lock:
            for tasks in self._waiting.values():
                while tasks and tasks[0][0] < since:
                    late.append(tasks.popleft()[1])
            self._forget(len(late))
        return late

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait for the tasks to end; False where some are still there after `seconds`."""
        with self._idle:
            return self._idle.wait_for(lambda: self._count == 0, seconds)

    def _open(self, vendor: str) -> int:
        return self._called[vendor] + len(self._waiting[vendor])

    def _share(self, free: int, held: int) -> int:
        """Return how many more threads a vendor may have that holds so many."""
        return min(free, max(0, math.ceil((SHARE * free - held) / (SHARE + 1))))

    def _startable(self) -> dict[str, int]:
        """Return how many tasks of each vendor could be at work now and are not."""
        free = self._threads - self._called.total()
        shares = {vendor: min(len(tasks), self._share(free, self._called[vendor])) for vendor, tasks in self._waiting.items()}
        return {vendor: count for vendor, count in shares.items() if count}

    def _ended_of_late(self, vendor: str) -> int:
        ended, since = self._ended[vendor], time.monotonic() - AHEAD_SECONDS
        while ended and ended[0] < since:
            ended.popleft()
        return len(ended)

    def _run(self) -> None:
        nap, was_quick = Lock(), False
        nap.acquire()
        while True:
            vendor, task = self._next(nap, was_quick)
            began_at = time.monotonic()
            try:
                self._work(task)
            finally:
                was_quick = time.monotonic() - began_at < NOTICE_SECONDS
                self._end(vendor)
                self._on_end()

    def _next(self, nap: Lock, was_quick: bool) -> tuple[str, T]:
        while True:
            with self._lock:
                # Two that are quick only take turns, and each turn costs a switch: the one that began last goes on alone.
                is_needed = not was_quick or self._last is nap
                if is_needed and (found := self._begin()):
                    self._last = nap
                    return found
                self._parked.append(nap)
            nap.acquire()
            was_quick = False

    def _begin(self) -> tuple[str, T] | None:
        """Return the task that has waited longest of those whose vendor may have one more thread, and count it as called."""
        startable = self._startable()
        if not startable:
            return None
        vendor = min(startable, key=lambda vendor: self._waiting[vendor][0][0])
        self._called[vendor] += 1
        self._begun += 1
        return vendor, self._waiting[vendor].popleft()[1]

    def _end(self, vendor: str) -> None:
        with self._lock:
            self._called[vendor] -= 1
            self._ended[vendor].append(time.monotonic())
            self._forget(1)

    def _forget(self, count: int) -> None:
        self._count -= count
        if self._count == 0:
            self._idle.notify_all()

    def _watch(self) -> None:
        """Where no task is begun although some wait, wake more threads, twice as many each time."""
        while True:
            self._news.wait()
            self._news.clear()
            more, pause_seconds, begun = 0, NOTICE_SECONDS, self._begun
            while self._wake(more):
                time.sleep(pause_seconds)
                goes_on = self._begun != begun
                more, pause_seconds = (0, LOOK_SECONDS) if goes_on else (2 * more or 1, NOTICE_SECONDS)
                begun = self._begun

    def _wake(self, count: int) -> bool:
        """Wake so many threads, where there are tasks for them. False: there are none."""
        with self._lock:
            startable = sum(self._startable().values())
            for _ in range(min(count, startable)):
                if self._parked:
                    self._parked.pop().release()
                elif self._made < self._threads:
                    self._made += 1
                    Thread(target=self._run, name=f"call-{self._made}", daemon=True).start()
        return startable > 0
