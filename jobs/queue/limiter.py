"""A vendor's limits in Redis, timed by Redis' clock (jobs/queue/lua/limits.lua).

The algorithm is the sliding-window log, with starts paced evenly: a call may start when, for each
window, the start `calls` before it has left the window. `take` charges a permit; it is valid for
PERMIT_SECONDS, because calls that are sent later than charged would reach the vendor in bursts. A
late permit is returned and a fresh one charged.

A vendor counts arrivals, not starts. Windows are therefore longer than the vendor's limits by its
arrival margin, which covers the life of a permit and the jitter of the network
(docs/decisions/0016-arrival-margin.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.models import EPOCH
from jobs.queue.buckets import Bucket, all_buckets_of, arguments, buckets_of, keys_of
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys, key_pause
from jobs.queue.redis import commands, script
from vendors.models import Vendor

PERMIT_SECONDS = 0.015
READ_PAUSE_SECONDS = 1.1  # longer than any worker takes to read a pause from the vendor's row
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Renewal:
    """A fresh permit, or how long to wait before asking again."""

    granted: bool
    charge: str  # what counts for the call now: '' without rate limits, and once it was returned
    wait_seconds: float


def moment(charge: str) -> datetime:
    """Return the time of a charge, which is in microseconds since 1970."""
    return EPOCH + int(charge) * MICROSECOND


def microseconds(at: datetime) -> int:
    """Return a time in microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def renew(
    vendor: Vendor, job_id: str, charge: str, *, credential: str = "", units: int | None = None
) -> Renewal:
    """Replace a permit that was not used in time. `job_id`: whose slot it needs; '' for a call that
    needs none, as a poll. `credential`: the key that the call is made with. `units`: of the charge;
    None for those of a call. Raises redis.RedisError.
    """
    of_call = buckets_of(vendor).of(credential)
    units = vendor.weight if units is None else units
    keys = [*keys_of(of_call), Keys(vendor.slug).pause]
    if vendor.credential and credential:
        keys.append(key_pause(vendor.credential.slug, credential))
    args = [*arguments(of_call, redis_clock.now()), charge, units, job_id]
    granted, left, wait_us = script("limits", "refund", "renew")(
        keys=keys, args=args, client=commands()
    )
    return Renewal(bool(granted), left, int(wait_us) / 1e6)


def stale(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Return those that must be rebuilt before they can be trusted. Raises redis.RedisError."""
    args = arguments(buckets, redis_clock.now())
    indexes = script("limits", "stale")(keys=keys_of(buckets), args=args, client=commands())
    return [buckets[index - 1] for index in indexes]


def is_stale(vendor: Vendor) -> bool:
    """Return whether a bucket of the vendor must be rebuilt. Raises redis.RedisError."""
    return bool(stale(all_buckets_of(vendor)))


def forget_version(bucket: Bucket, version: int) -> None:
    """Have Redis trust the bucket's definition although it has named a newer `version`: the rows
    were restored from a backup. Raises redis.RedisError.
    """
    script("forget_version")(keys=[bucket.keys.state], args=[version], client=commands())


def pause(slug: str, seconds: float) -> None:
    """Stop all calls at once, until every worker has read the pause from the vendor's row."""
    commands().set(Keys(slug).pause, "1", px=max(1, int(seconds * 1000)))


def pause_key(credential: str, key: str, seconds: float) -> None:
    """Stop all calls with one key of a credential, until every worker has read its pause."""
    commands().set(key_pause(credential, key), "1", px=max(1, int(seconds * 1000)))


def memory(vendor: Vendor) -> tuple[int, float]:
    """Return how many starts, and of how many seconds, the log must hold: the most that its
    windows need now or needed before.
    """
    depth, length_us = commands().hmget(Keys(vendor.slug).state, "depth", "length")
    calls = max([int(depth or 0), *(window.calls for window in vendor.windows)])
    return calls, max([int(length_us or 0) / 1e6, *(window.seconds for window in vendor.windows)])
