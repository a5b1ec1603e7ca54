"""How each vendor's queue stands, as Redis said a moment ago: more jobs than a vendor's bound are
not let in.
"""

import time
from dataclasses import dataclass
from threading import Lock
from typing import Any

from jobs.queue.clock import clock
from jobs.queue.keys import GROUP, Keys
from jobs.queue.stream import hints_may_fail
from vendors.catalogue import catalogue

FRESH_SECONDS = 0.5


@dataclass(frozen=True)
class Queue:
    """The streams of one vendor. Times are in seconds by Redis' clock."""

    jobs: int = 0  # entries, with those that are being called
    retries: int = 0
    taken: int = 0  # of `jobs`, those that are being called
    in_flight: int = 0  # jobs that are being called or wait for a callback
    first_at: float = 0.0  # when the first of `jobs` was queued
    last_at: float = 0.0
    open_until: float = 0.0  # until when the breaker lets nothing through

    @property
    def length(self) -> int:
        return self.jobs + self.retries

    def ahead_of(self, queued_at: float) -> float:
        """Return about how many wait before a first attempt that was queued then."""
        span = self.last_at - self.first_at
        share = min(max((queued_at - self.first_at) / span, 0.0), 1.0) if span > 0 else 1.0
        return self.retries + max(share * self.jobs - self.taken, 0.0)


class Backlog:
    """The queues, shared by the threads of a process.

    They are hints: half a second old, and empty while Redis is away or when it has lost its data.
    What was accepted stays.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._queues: dict[str, Queue] = {}
        self._read_at: dict[str, float] = {}

    def is_full(self, slug: str) -> bool:
        """Return whether as many jobs wait as the vendor may have."""
        vendor = catalogue.get(slug)
        return (
            vendor is not None
            and vendor.max_queued is not None
            and self.queue(slug).length >= vendor.max_queued
        )

    def queue(self, slug: str) -> Queue:
        is_fresh = time.monotonic() - self._read_at.get(slug, float("-inf")) < FRESH_SECONDS
        # One thread asks; the others need not wait for it, and take the queue as it is.
        if not is_fresh and self._lock.acquire(blocking=False):
            try:
                self._queues[slug] = _ask(slug)
                self._read_at[slug] = time.monotonic()
            finally:
                self._lock.release()
        return self._queues.get(slug, Queue())

    def forget(self) -> None:
        """Ask Redis at the next question."""
        self._read_at.clear()


def _ask(slug: str) -> Queue:
    answers: list[Any] = []
    asked_at = time.monotonic()
    hints_may_fail.give(
        lambda client: answers.extend(_questions(client, Keys(slug)).execute(raise_on_error=False))
    )
    # A group that no worker has made yet is an error, and so is a key that holds something else.
    time_, jobs, retries, pending, first, last, in_flight, open_us = [
        None if isinstance(answer, Exception) else answer for answer in answers
    ] or [None] * 8
    if time_:
        clock.hear(time_[0] + time_[1] / 1e6, asked_at)
    return Queue(
        jobs=jobs or 0,
        retries=retries or 0,
        taken=pending["pending"] if pending else 0,
        in_flight=in_flight or 0,
        first_at=_added_at(first),
        last_at=_added_at(last),
        open_until=float(open_us or 0) / 1e6,
    )


def _questions(client: Any, keys: Keys) -> Any:
    pipeline = (
        client.pipeline(transaction=False)
        .time()
        .xlen(keys.jobs)
        .xlen(keys.retries)
        .xpending(keys.jobs, GROUP)
    )
    return (
        pipeline.xrange(keys.jobs, count=1)
        .xrevrange(keys.jobs, count=1)
        .zcard(keys.in_flight)
        .hget(keys.state, "open_until")
    )


def _added_at(entries: list[Any] | None) -> float:
    return int(entries[0][0].partition("-")[0]) / 1000 if entries else 0.0


backlog = Backlog()
