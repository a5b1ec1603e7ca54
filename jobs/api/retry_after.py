"""Retry-After: the seconds until a job or a batch is worth fetching again (docs/api.md).

It uses what this process already knows: the vendor's settings, a recent snapshot of its queue in
Redis and of what holds it, and the durations of calls shown here. All requests of a process share
these snapshots. Without Redis, the queue counts as unknown.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobs.models import Job, Status, Stream
from jobs.queue.backlog import Queue, backlog
from jobs.queue.buckets import buckets_of
from jobs.queue.clock import redis_clock
from jobs.queue.held.hold import Kind
from jobs.queue.held.recent import recent_holds
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue
from vendors.limits import Window
from vendors.models import Vendor

MIN_SECONDS = 1
MAX_SECONDS = 60
SHARE_OF_AGE = 0.1  # the longer a job has waited, the later its result may be noticed
QUEUE_FULL_SECONDS = 10  # when the speed of a full queue is unknown
RECENT_SECONDS = 600
NEWEST_WEIGHT = 0.2


class Durations:
    """How long each vendor's calls take, up to the callback if there is one.

    An exponential moving average over the jobs shown by this process.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, row: Mapping[str, Any]) -> None:
        """Learn from a job that was just shown as complete."""
        started, finished = row["started_at"], row["finished_at"]
        if started and finished and _seconds(finished, redis_clock.now()) < RECENT_SECONDS:
            seconds = _seconds(started, finished)
            known = self._seconds.get(row["vendor"], seconds)
            self._seconds[row["vendor"]] = known + NEWEST_WEIGHT * (seconds - known)

    def of(self, slug: str) -> float:
        return self._seconds.get(slug, 0.0)


durations = Durations()


def of_new_job(job: Job) -> int:
    slug = job.vendor
    queue = backlog.queue(slug)
    held = _seconds(redis_clock.now(), job.not_before) if job.not_before else 0.0
    expected = max(held, _until_started(slug, queue, queue.length - queue.taken))
    return _bounded(expected + durations.of(slug))


def of_job(row: Mapping[str, Any]) -> int:
    """Return the seconds for a job that is not final, given its row."""
    slug, now = row["vendor"], redis_clock.now()
    if row["status"] != Status.QUEUED:
        elapsed = _seconds(row["started_at"] or now, now)
        return _bounded(max(durations.of(slug) - elapsed, SHARE_OF_AGE * elapsed))
    queue = backlog.queue(slug)
    is_retry = row["stream"] == Stream.RETRIES
    ahead = queue.retries if is_retry else queue.ahead_of(row["queued_at"].timestamp())
    held = _seconds(now, row["not_before"]) if row["not_before"] else 0.0
    expected = max(held, _until_started(slug, queue, ahead)) + durations.of(slug)
    return _bounded(max(expected, SHARE_OF_AGE * _seconds(row["queued_at"], now)))


def of_full_queue(slug: str) -> int:
    """Return when a tenth of a full queue will be done.

    Waiting for a tenth spreads the clients; not all of them return for the first free place.
    """
    queue = backlog.queue(slug)
    return _bounded(_until_started(slug, queue, queue.length / 10) or QUEUE_FULL_SECONDS)


def of_batch(created_at: datetime) -> int:
    """Return the seconds for a batch that is not finished."""
    return _bounded(SHARE_OF_AGE * _seconds(created_at, redis_clock.now()))


def _until_started(slug: str, queue: Queue, ahead: float) -> float:
    """Return the seconds until the vendor starts a job that has `ahead` jobs before it."""
    vendor = _vendor(slug)
    if vendor is None or vendor.paused:
        return MAX_SECONDS
    now = redis_clock.now()
    paused = _seconds(now, vendor.paused_until) if vendor.paused_until else 0.0
    held = max(paused, queue.open_until - now.timestamp(), _by_quota(vendor), 0.0)
    return held + max(_by_limits(vendor, ahead), _by_calls(slug, queue, ahead))


def _by_quota(vendor: Vendor) -> float:
    """Return how long a spent quota, or a pool without a usable key, holds the vendor."""
    if not (vendor.limit_names or vendor.credential):
        return 0.0
    hold = recent_holds.of([vendor.slug]).get(vendor.slug)
    if hold is None or hold.kind not in (Kind.QUOTA, Kind.CREDENTIAL):
        return 0.0
    return _seconds(redis_clock.now(), hold.until) if hold.until else MAX_SECONDS


def _by_limits(vendor: Vendor, ahead: float) -> float:
    """Return how long the rate limits need for `ahead` starts, if no other vendor shares them and
    all keys of the credential are used alike.
    """
    try:
        buckets = buckets_of(vendor)
        keys = vendor.credential.scheme.keys if vendor.credential else ()
    except ValueError:
        return MAX_SECONDS  # workers take no jobs of a vendor with invalid limits
    units, one_key = ahead * vendor.weight, keys[0] if keys else ""
    of_all = [_by_windows(bucket.windows, units) for bucket in buckets.common]
    units /= len(keys) or 1
    of_each = [_by_windows(bucket.windows, units) for bucket in buckets.of_key_alone(one_key)]
    return max([*of_all, *of_each])


def _by_windows(windows: Sequence[Window], units: float) -> float:
    """The shortest window sets the pace. Each longer one admits its calls all at once."""
    pace = [units * window.seconds / window.calls for window in windows[:1]]
    later = [units // window.calls * window.seconds for window in windows[1:]]
    return max([*pace, *later], default=0.0)


def _by_calls(slug: str, queue: Queue, ahead: float) -> float:
    """Return how long `ahead` calls take at the present concurrency (Little's law)."""
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
