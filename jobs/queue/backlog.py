"""The length of each vendor's queue, half a second old at most, to refuse jobs of a full queue."""

import time
from dataclasses import dataclass
from threading import Lock
from typing import Any

from jobs.queue.clock import redis_clock
from jobs.queue.keys import GROUP, Keys
from jobs.queue.stream import hints_may_fail
from vendors.catalogue import catalogue

MAX_AGE_SECONDS = 0.5


@dataclass(frozen=True)
class Queue:
    """The streams of one vendor. Times are Unix seconds of Redis' clock."""

    jobs: int = 0  # entries in the stream, including those being called
    retries: int = 0
    taken: int = 0  # of `jobs`, those being called
    in_flight: int = 0  # jobs that are being called or wait for a callback
    first_at: float = 0.0  # when the oldest of `jobs` was queued
    last_at: float = 0.0
    open_until: float = 0.0  # when an open breaker lets the next probe through

    @property
    def length(self) -> int:
        return self.jobs + self.retries

    def ahead_of(self, queued_at: float) -> float:
        """Estimate how many jobs wait ahead of a first attempt that was queued then."""
        span = self.last_at - self.first_at
        share = min(max((queued_at - self.first_at) / span, 0.0), 1.0) if span > 0 else 1.0
        return self.retries + max(share * self.jobs - self.taken, 0.0)


class Backlog:
    """The queues of all vendors, shared by the threads of a process.

    Empty when Redis does not answer or has lost its data, so that jobs are accepted.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._queues: dict[str, Queue] = {}
        self._read_at: dict[str, float] = {}

    def is_full(self, slug: str) -> bool:
        """Return whether the vendor's queue has reached its max_queued."""
        vendor = catalogue.get(slug)
        if vendor is None or vendor.max_queued is None:
            return False
        return self.queue(slug).length >= vendor.max_queued

    def queue(self, slug: str) -> Queue:
        is_fresh = time.monotonic() - self._read_at.get(slug, float("-inf")) < MAX_AGE_SECONDS
        # One thread asks Redis; meanwhile the others use the last reply instead of waiting.
        if not is_fresh and self._lock.acquire(blocking=False):
            try:
                self._queues[slug] = _read(slug)
                self._read_at[slug] = time.monotonic()
            finally:
                self._lock.release()
        return self._queues.get(slug, Queue())

    def forget(self) -> None:
        """Ask Redis again at the next call."""
        self._read_at.clear()


def _read(slug: str) -> Queue:
    replies: list[Any] = []
    asked_at = time.monotonic()
    hints_may_fail.give(
        lambda client: replies.extend(_commands(client, Keys(slug)).execute(raise_on_error=False))
    )
    # An error means no data: no group until the first worker starts, or a key of another type.
    time_, jobs, retries, pending, first, last, in_flight, open_us = [
        None if isinstance(reply, Exception) else reply for reply in replies
    ] or [None] * 8
    if time_:
        redis_clock.hear(time_[0] + time_[1] / 1e6, asked_at)
    return Queue(
        jobs=jobs or 0,
        retries=retries or 0,
        taken=pending["pending"] if pending else 0,
        in_flight=in_flight or 0,
        first_at=_added_at(first),
        last_at=_added_at(last),
        open_until=float(open_us or 0) / 1e6,
    )


def _commands(client: Any, keys: Keys) -> Any:
    pipeline = client.pipeline(transaction=False).time()
    pipeline.xlen(keys.jobs).xlen(keys.retries).xpending(keys.jobs, GROUP)
    pipeline.xrange(keys.jobs, count=1).xrevrange(keys.jobs, count=1)
    return pipeline.zcard(keys.in_flight).hget(keys.state, "open_until")


def _added_at(entries: list[Any] | None) -> float:
    return int(entries[0][0].partition("-")[0]) / 1000 if entries else 0.0


backlog = Backlog()
