"""After how many seconds it is worth asking for a job again: docs/api.md has the formula.

It goes by what is in this process already: the vendor's settings, its queue as Redis said a moment
ago, and how long its calls took that were shown here. Nothing is asked of store or Redis for one
request's sake, and without Redis the queue is unknown.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jobs.models import Status, Stream
from jobs.queue.backlog import Queue, backlog
from jobs.queue.clock import redis_clock
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue
from vendors.models import Vendor

MIN_SECONDS = 1
MAX_SECONDS = 60
SHARE_OF_AGE = 0.1  # what was waited for already says how late an answer may be noticed
FULL_SECONDS = 10  # where it is not known how quickly a full queue gets shorter
RECENT_SECONDS = 600
NEWEST_WEIGHT = 0.2


class Durations:
    """How long calls of each vendor take, until its callback if there is one: a moving mean of
    those that were shown.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, row: Mapping[str, Any]) -> None:
        """Learn from a job that has just been shown as complete."""
        began, ended = row["started_at"], row["finished_at"]
        if began and ended and (redis_clock.now() - ended).total_seconds() < RECENT_SECONDS:
            seconds = max((ended - began).total_seconds(), 0.0)
            known = self._seconds.get(row["vendor"], seconds)
            self._seconds[row["vendor"]] = known + NEWEST_WEIGHT * (seconds - known)

    def of(self, slug: str) -> float:
        return self._seconds.get(slug, 0.0)


durations = Durations()


def of_new_job(slug: str) -> int:
    queue = backlog.queue(slug)
    return _bounded(_until_started(slug, queue, queue.length - queue.taken) + durations.of(slug))


def of_job(row: Mapping[str, Any]) -> int:
    """Return it for a job that is not final, shown by its row."""
    slug, now = row["vendor"], redis_clock.now()
    if row["status"] != Status.QUEUED:
        under_way = _seconds(row["started_at"] or now, now)
        return _bounded(max(durations.of(slug) - under_way, SHARE_OF_AGE * under_way))
    queue = backlog.queue(slug)
    ahead = (
        queue.retries
        if row["stream"] == Stream.RETRIES
        else queue.ahead_of(row["queued_at"].timestamp())
    )
    held = _seconds(now, row["not_before"]) if row["not_before"] else 0.0
    expected = max(held, _until_started(slug, queue, ahead)) + durations.of(slug)
    return _bounded(max(expected, SHARE_OF_AGE * _seconds(row["queued_at"], now)))


def of_full_queue(slug: str) -> int:
    """Return when a tenth of a full queue will be done, so that not all come back for the first
    free place.
    """
    queue = backlog.queue(slug)
    return _bounded(_until_started(slug, queue, queue.length / 10) or FULL_SECONDS)


def _until_started(slug: str, queue: Queue, ahead: float) -> float:
    """Return in how many seconds the vendor gets to a job that has so many before it."""
    vendor = _vendor(slug)
    if vendor is None or vendor.paused:
        return MAX_SECONDS
    now = redis_clock.now()
    paused = _seconds(now, vendor.paused_until) if vendor.paused_until else 0.0
    return max(paused, queue.open_until - now.timestamp(), 0.0) + max(
        _by_limits(vendor, ahead), _by_calls(slug, queue, ahead)
    )


def _by_limits(vendor: Vendor, ahead: float) -> float:
    """Return how long the limits take for so many starts: the shortest paces them, the longer ones
    let through so many each.
    """
    try:
        windows = vendor.windows
    except ValueError:
        return MAX_SECONDS  # no worker takes jobs of a vendor with such limits
    paced = [ahead * window.seconds / window.calls for window in windows[:1]]
    return max(
        [*paced, *(ahead // window.calls * window.seconds for window in windows[1:])], default=0.0
    )


def _by_calls(slug: str, queue: Queue, ahead: float) -> float:
    """Return how long so many calls take, with as many at a time as there are now (Little's law)."""
    return ahead * durations.of(slug) / queue.in_flight if queue.in_flight else 0.0


def _vendor(slug: str) -> Vendor | None:
    try:
        return catalogue.get(slug)
    except STORE_ERRORS:
        return None


def _seconds(since: datetime, until: datetime) -> float:
    return max((until - since).total_seconds(), 0.0)


def _bounded(seconds: float) -> int:
    return min(max(math.ceil(seconds), MIN_SECONDS), MAX_SECONDS)
