"""What holds vendors, as all requests of a process share it: at most a second old."""

import time
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any

import redis

from jobs.queue.clock import redis_clock
from jobs.queue.held.asking import Question, ask_workers, run, workers_of
from jobs.queue.held.hold import Hold, Standing
from jobs.queue.stream import hints_may_fail
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue
from vendors.models import Vendor

MAX_AGE_SECONDS = 1.0
RENEWED_AFTER_SECONDS = 0.5


class RecentHolds:
    """Shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._standings: dict[str, tuple[float, Standing]] = {}  # each with when Redis was asked
        self._is_down = False

    def of(self, slugs: Iterable[str]) -> dict[str, Hold | None]:
        """Return what holds all jobs of these vendors. A vendor is left out if this is not known;
        without Redis, all are.
        """
        vendors = _vendors(slugs)
        self._renew(vendors)
        oldest, now = time.monotonic() - MAX_AGE_SECONDS, redis_clock.now()
        known = [(vendor, self._standings.get(vendor.slug)) for vendor in vendors]
        return {
            vendor.slug: found[1].hold_at(now, vendor)
            for vendor, found in known
            if found and found[0] > oldest
        }

    def _renew(self, vendors: Sequence[Vendor]) -> None:
        """Ask Redis, in one round trip, about the vendors of which too little is known."""
        if not self._older_than(RENEWED_AFTER_SECONDS, vendors):
            return
        # One thread asks. Others wait for it only if what they have is too old, and if Redis can be
        # expected to answer.
        waits = not self._is_down and bool(self._older_than(MAX_AGE_SECONDS, vendors))
        if not self._lock.acquire(blocking=waits):
            return
        try:
            if asked := self._older_than(RENEWED_AFTER_SECONDS, vendors):
                at, found = time.monotonic(), read(asked)
                self._is_down = not found
                self._standings.update((slug, (at, each)) for slug, each in found.items())
        finally:
            self._lock.release()

    def _older_than(self, seconds: float, vendors: Iterable[Vendor]) -> list[Vendor]:
        oldest, known = time.monotonic() - seconds, self._standings
        return [it for it in vendors if it.slug not in known or known[it.slug][0] <= oldest]


def _vendors(slugs: Iterable[str]) -> list[Vendor]:
    try:
        return [vendor for slug in set(slugs) if (vendor := catalogue.get(slug))]
    except STORE_ERRORS:
        return []


def read(vendors: Sequence[Vendor]) -> dict[str, Standing]:
    """Return what Redis says of these vendors. One with a key of another type is left out; all are
    if Redis does not answer.
    """
    questions = [Question(vendor) for vendor in vendors]

    def ask(pipeline: Any) -> None:
        ask_workers(pipeline)
        for question in questions:
            question.ask(pipeline)

    replies: list[Any] = []
    asked_at = time.monotonic()
    hints_may_fail.give(lambda client: replies.extend(run(client, ask)))
    try:
        now_us, _, reports = workers_of(replies[:3])
    except (ValueError, redis.RedisError):  # no replies, or errors
        return {}
    redis_clock.hear(now_us / 1e6, asked_at)
    return {
        vendor.slug: question.answer(reply, reports)
        for vendor, question, reply in zip(vendors, questions, replies[3:], strict=True)
        if not isinstance(reply, redis.RedisError)
    }


recent_holds = RecentHolds()
