"""Threads that call vendors, shared so that no vendor can take them all, and no more of them than
the calls need.

A thread that is awake goes on with the next task, and another is woken only where none comes for
it: a vendor that answers at once is best served by one or two threads, for each switch between them
costs a good part of a call.
"""

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from threading import Condition, Event, Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

# A vendor may hold at most this many times as many threads as are free: alone two thirds of all,
# and a slow one leaves room for the next. (A. K. Choudhury, E. L. Hahne: Dynamic queue length
# thresholds for shared-memory packet switches, 1998.)
SHARE = 2
# How much work may wait for threads, by what the calls took of late: enough for large batches, soon
# done.
AHEAD_SECONDS = 0.1
MAX_AHEAD = 1000
MANY = 10  # calls ended in that time
NOTICE_SECONDS = 0.001  # where no task was begun for that long, more threads are woken
CHECK_INTERVAL_SECONDS = 0.004  # how often that is looked at while all goes well


class Ends:
    """When calls ended of late, in monotonic seconds."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=MAX_AHEAD)

    def note(self, at: float) -> None:
        self._at.append(at)

    def count(self, now: float) -> int:
        """Return how many ended within AHEAD_SECONDS."""
        while self._at and self._at[0] < now - AHEAD_SECONDS:
            self._at.popleft()
        return len(self._at)


class Tasks(Generic[T]):
    """One vendor's: those that wait, each with the moment since when, and how many are called."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, T]] = deque()
        self.called = 0
        self.ended = Ends()

    @property
    def count(self) -> int:
        return len(self.waiting) + self.called


class Pool(Generic[T]):
    """Calls `work` with each task in one of at most `threads` threads, and `on_end` after each."""

    def __init__(self, threads: int, work: Callable[[T], None], on_end: Callable[[], None]) -> None:
        self._threads = threads
        self._work = work
        self._on_end = on_end
        self._vendors: dict[str, Tasks[T]] = defaultdict(Tasks)
        self._turns: dict[
            str, None
        ] = {}  # the vendors whose tasks wait; whose turn is next stands in front
        self._ended = Ends()
        # Over all vendors: tasks that wait or are called, those that are called, and threads that
        # are spoken for.
        self._count = self._called = self._held = 0
        self._most = self._share(threads, 0)  # threads that one vendor may have
        self._begun = 0  # tasks ever
        self._last: Lock | None = None  # whose thread has begun a task last
        self._parked: list[Lock] = []
        self._made = 0
        self._lock = Lock()
        self._idle = Condition(self._lock)
        self._news = Event()
        Thread(target=self._watch, name="call-watch", daemon=True).start()

    def room(self, vendor: str, *, ahead: bool = False) -> int:
        """Return how many more tasks of the vendor may be put: as many as it may have threads, and
        ahead of time some more.
        """
        with self._lock:
            tasks = self._vendors[vendor]
            room = self._share(self._threads - self._held, min(tasks.count, self._most))
            return room + self._room_ahead(tasks) if ahead else room

    @property
    def busy(self) -> int:
        """How many tasks wait or are called."""
        return self._count

    def put(self, tasks: Iterable[tuple[str, T]]) -> None:
        """Have tasks done, each given with its vendor."""
        now = time.monotonic()
        with self._lock:
            for vendor, task in tasks:
                of_vendor = self._vendors[vendor]
                of_vendor.waiting.append((now, task))
                self._turns[vendor] = None
                self._count += 1
                self._held += of_vendor.count <= self._most
        self._wake(1)
        self._news.set()

    def seconds_ahead(self) -> float:
        """Return how long the tasks that wait will last; 0 where calls end too seldom to tell."""
        with self._lock:
            ended = self._ended.count(time.monotonic())
            return AHEAD_SECONDS * (self._count - self._called) / ended if ended >= MANY else 0.0

    def take_back(self, seconds: float) -> list[T]:
        """Return the tasks that have waited for longer than that, and forget them."""
        since, late = time.monotonic() - seconds, []
        with self._lock:
            for vendor in list(self._turns):
                tasks = self._vendors[vendor]
                while tasks.waiting and tasks.waiting[0][0] < since:
                    self._forget(tasks)
                    late.append(self._pop(vendor))
        return late

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait for the tasks to end; False where some are still there after `seconds`."""
        with self._idle:
            return self._idle.wait_for(lambda: self._count == 0, seconds)

    def _share(self, free: int, held: int) -> int:
        """Return how many more threads a vendor may have that holds so many."""
        return max(0, min(free, math.ceil((SHARE * free - held) / (SHARE + 1))))

    def _room_ahead(self, tasks: Tasks[T]) -> int:
        now = time.monotonic()
        of_all = self._ended.count(now)
        # One that has nothing to do is taken to be as quick as the others, until it shows.
        of_vendor = tasks.ended.count(now) if tasks.count else of_all
        return max(
            0,
            min(of_vendor - max(0, tasks.count - self._most), of_all - (self._count - self._held)),
        )

    def _startable(self, tasks: Tasks[T]) -> int:
        """Return how many of a vendor's tasks could be called now, and are not."""
        return min(len(tasks.waiting), self._share(self._threads - self._called, tasks.called))

    def _run(self) -> None:
        nap, was_quick = Lock(), False
        nap.acquire()
        while True:
            tasks, task = self._next(nap, was_quick)
            began_at = time.monotonic()
            try:
                self._work(task)
            finally:
                ended_at = time.monotonic()
                was_quick = ended_at - began_at < NOTICE_SECONDS
                self._end(tasks, ended_at)
                self._on_end()

    def _next(self, nap: Lock, was_quick: bool) -> tuple[Tasks[T], T]:
        while True:
            with self._lock:
                # Two that are quick only take turns, and each turn costs a switch: the one that
                # began last goes on alone.
                is_needed = not was_quick or self._last is nap
                if is_needed and (found := self._begin()):
                    self._last = nap
                    return found
                self._parked.append(nap)
                if self._turns:
                    self._news.set()  # lest the one that goes on alone comes to hang
            nap.acquire()
            was_quick = False

    def _begin(self) -> tuple[Tasks[T], T] | None:
        """Return a task of the vendor whose turn is next, of those that may have one more thread,
        and count it as called.
        """
        vendor = next(
            (vendor for vendor in self._turns if self._startable(self._vendors[vendor])), None
        )
        if vendor is None:
            return None
        tasks = self._vendors[vendor]
        tasks.called += 1
        self._called += 1
        self._begun += 1
        return tasks, self._pop(vendor)

    def _pop(self, vendor: str) -> T:
        """Take a vendor's first task out of those that wait; its next turn is after all others'."""
        waiting = self._vendors[vendor].waiting
        _, task = waiting.popleft()
        del self._turns[vendor]
        if waiting:
            self._turns[vendor] = None
        return task

    def _end(self, tasks: Tasks[T], at: float) -> None:
        with self._lock:
            self._forget(tasks)
            tasks.called -= 1
            self._called -= 1
            tasks.ended.note(at)
            self._ended.note(at)

    def _forget(self, tasks: Tasks[T]) -> None:
        """Count one task less, of those that the vendor still has."""
        self._held -= tasks.count <= self._most
        self._count -= 1
        if self._count == 0:
            self._idle.notify_all()

    def _watch(self) -> None:
        """Where no task is begun although some wait, wake more threads, twice as many each time."""
        while True:
            self._news.wait()
            self._news.clear()
            woken, pause_seconds, begun = 1, NOTICE_SECONDS, self._begun
            while self._startable_count():
                time.sleep(pause_seconds)
                goes_on = (
                    self._begun - begun > woken
                )  # others than those that were woken have come back for more
                woken, pause_seconds = (
                    (0, CHECK_INTERVAL_SECONDS) if goes_on else (2 * woken or 1, NOTICE_SECONDS)
                )
                begun = self._begun
                self._wake(woken)

    def _startable_count(self) -> int:
        with self._lock:
            return sum(self._startable(self._vendors[vendor]) for vendor in self._turns)

    def _wake(self, count: int) -> None:
        """Wake so many threads, where there are tasks for them."""
        count = min(count, self._startable_count())
        with self._lock:
            for _ in range(count):
                if self._parked:
                    self._parked.pop().release()
                elif self._made < self._threads:
                    self._made += 1
                    Thread(target=self._run, name=f"call-{self._made}", daemon=True).start()
