"""How far and how fast this process has carried out a bulk action. Only hints: after a restart, or
under another leader, an action goes on from its row.
"""

from collections import deque
from dataclasses import dataclass, field
from time import monotonic

from jobs.models import Job, Status

RECENT_SECONDS = 60.0
MIN_SECONDS = 2.0  # a rate over less says little
BURST_SECONDS = 1.0
MARKED = 25  # jobs between two marks


@dataclass(frozen=True)
class Mark:
    """The last of some jobs that were moved together, and how many they are."""

    job_id: str
    attempt: int
    count: int


@dataclass
class Course:
    """Of one action. Times are monotonic seconds."""

    began_at: float = field(default_factory=lambda: monotonic())
    moved_at: float = field(default_factory=lambda: monotonic())
    tokens: float = 1.0
    filled_at: float = field(default_factory=lambda: monotonic())
    recent: deque[tuple[float, int]] = field(default_factory=deque)  # jobs that have started
    marks: deque[Mark] = field(default_factory=deque)
    counted: int = 0  # jobs ahead of the cursor when counting began
    counted_to: str | None = None  # None before counting

    def permitted(self, per_second: float | None, limit: int) -> int:
        """Return how many jobs may be moved now at this rate, up to `limit`."""
        if per_second is None:
            return limit
        now = monotonic()
        most = max(per_second * BURST_SECONDS, 1.0)
        self.tokens = min(self.tokens + (now - self.filled_at) * per_second, most)
        self.filled_at = now
        return min(int(self.tokens), limit)

    def note(self, jobs: list[Job], *, they_wait: bool) -> None:
        """Note that these jobs have been moved. `they_wait`: for their turn to be called."""
        self.moved_at, self.tokens = monotonic(), self.tokens - len(jobs)
        if not they_wait:
            self.recent.append((self.moved_at, len(jobs)))
            return
        for start in range(0, len(jobs), MARKED):
            part = jobs[start : start + MARKED]
            self.marks.append(Mark(part[-1].pk, part[-1].attempt, len(part)))

    def not_started(self) -> int:
        """Return how many of the jobs that were moved are queued and wait for their turn, as far as
        known: a stream is first in, first out.
        """
        while self.marks and _has_started(self.marks[0]):
            self.recent.append((monotonic(), self.marks.popleft().count))
        return sum(mark.count for mark in self.marks)

    def per_minute(self) -> float | None:
        """Return how many jobs a minute were moved, and do not wait any more, of late; None if that
        is not known yet.
        """
        now = monotonic()
        while self.recent and self.recent[0][0] < now - RECENT_SECONDS:
            self.recent.popleft()
        seconds = min(now - self.began_at, RECENT_SECONDS)
        moved = sum(count for _, count in self.recent)
        return 60 * moved / seconds if seconds >= MIN_SECONDS else None

    def idle_seconds(self) -> float:
        return monotonic() - self.moved_at


def _has_started(mark: Mark) -> bool:
    row = Job.objects.filter(pk=mark.job_id).values_list("status", "attempt").first()
    return row is None or row[0] != Status.QUEUED or row[1] > mark.attempt
