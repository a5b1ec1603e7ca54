"""A queue of tasks for a limited number of threads, shared fairly between vendors.

A vendor may hold at most SHARE times as many threads as are free. Alone it gets two thirds of them,
and one that hangs leaves some for the next. (A. K. Choudhury, E. L. Hahne: Dynamic queue length
thresholds for shared-memory packet switches, 1998.)

A quick vendor may queue more tasks than it may hold threads: as many as its calls that ended within
the last AHEAD_SECONDS (docs/decisions/0013-ahead-of-the-threads.md).
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

SHARE = 2
AHEAD_SECONDS = 0.1  # enough for large rounds, and soon done
MAX_AHEAD = 1000
# Calls that must have ended within AHEAD_SECONDS to tell how long the waiting tasks will last.
MIN_ENDS = 10


class Ends:
    """When calls ended recently, in monotonic seconds."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=MAX_AHEAD)

    def note(self, at: float) -> None:
        self._at.append(at)

    def count(self, now: float) -> int:
        """Return how many ended within the last AHEAD_SECONDS."""
        while self._at and self._at[0] < now - AHEAD_SECONDS:
            self._at.popleft()
        return len(self._at)


class Lane(Generic[T]):
    """The tasks of one vendor. `waiting` has each with the time when it was put."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, T]] = deque()
        self.running = 0
        self.ends = Ends()

    @property
    def count(self) -> int:
        return len(self.waiting) + self.running


class FairQueue(Generic[T]):
    """Decides which task is next, and how many more a vendor may put.

    A task waits, runs, and ends. Times are monotonic seconds. Not thread-safe: the caller locks.
    """

    def __init__(self, threads: int) -> None:
        self.count = 0  # tasks that wait or run
        self.begun = 0  # tasks that were ever begun
        self._running = 0
        self._reserved = 0  # threads that the tasks which wait or run will hold
        self._threads = threads
        self._max_reserved = self._share(threads, 0)  # of one vendor
        self._lanes: dict[str, Lane[T]] = defaultdict(Lane)
        self._turns: dict[str, None] = {}  # vendors with tasks that wait; the next one in front
        self._ends = Ends()

    def room(self, slug: str, now: float, *, ahead: bool = False) -> int:
        """Return how many more tasks of the vendor may be put: as many as it may hold threads.

        `ahead`: and as many as it may queue ahead of them.
        """
        lane = self._lanes[slug]
        reserved = min(lane.count, self._max_reserved)
        room = self._share(self._threads - self._reserved, reserved)
        return room + self._room_ahead(lane, now) if ahead else room

    def put(self, tasks: Iterable[tuple[str, T]], now: float) -> None:
        """Add tasks, each with the slug of its vendor."""
        for slug, task in tasks:
            lane = self._lanes[slug]
            lane.waiting.append((now, task))
            self._turns[slug] = None
            self.count += 1
            self._reserved += lane.count <= self._max_reserved

    def begin(self) -> tuple[str, T] | None:
        """Return the next task that may run, with its vendor's slug; None if there is none."""
        slug = next((slug for slug in self._turns if self._startable(self._lanes[slug])), None)
        if slug is None:
            return None
        self._lanes[slug].running += 1
        self._running += 1
        self.begun += 1
        return slug, self._pop(slug)

    def end(self, slug: str, now: float) -> None:
        """A task of this vendor has run."""
        lane = self._lanes[slug]
        self._forget(lane)
        lane.running -= 1
        self._running -= 1
        lane.ends.note(now)
        self._ends.note(now)

    def remove_late(self, put_before: float) -> list[T]:
        """Remove and return the tasks that have waited since before that time."""
        late = []
        for slug in list(self._turns):
            lane = self._lanes[slug]
            while lane.waiting and lane.waiting[0][0] < put_before:
                self._forget(lane)
                late.append(self._pop(slug))
        return late

    def startable(self) -> int:
        """Return at most how many of the waiting tasks could run now; 0 if none could."""
        return sum(self._startable(self._lanes[slug]) for slug in self._turns)

    def has_waiting(self) -> bool:
        return bool(self._turns)

    def seconds_left(self, now: float) -> float:
        """Return how long the waiting tasks will last; 0 if too few calls ended to tell."""
        ended = self._ends.count(now)
        waiting = self.count - self._running
        return AHEAD_SECONDS * waiting / ended if ended >= MIN_ENDS else 0.0

    def _share(self, free: int, held: int) -> int:
        """Return how many more threads a vendor may have that holds so many."""
        return max(0, min(free, math.ceil((SHARE * free - held) / (SHARE + 1))))

    def _room_ahead(self, lane: Lane[T], now: float) -> int:
        ended = self._ends.count(now)
        # An idle vendor is taken to be as quick as the others until its calls show otherwise.
        ended_here = lane.ends.count(now) if lane.count else ended
        ahead_here = max(0, lane.count - self._max_reserved)
        return max(0, min(ended_here - ahead_here, ended - (self.count - self._reserved)))

    def _startable(self, lane: Lane[T]) -> int:
        return min(len(lane.waiting), self._share(self._threads - self._running, lane.running))

    def _pop(self, slug: str) -> T:
        """Remove the vendor's first waiting task, and move the vendor behind the others."""
        waiting = self._lanes[slug].waiting
        _, task = waiting.popleft()
        del self._turns[slug]
        if waiting:
            self._turns[slug] = None
        return task

    def _forget(self, lane: Lane[T]) -> None:
        """Count one task less, before it leaves the lane."""
        self._reserved -= lane.count <= self._max_reserved
        self.count -= 1
