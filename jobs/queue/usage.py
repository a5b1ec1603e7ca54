"""How much of its limits a vendor, or all vendors of a shared limit, have used: for the console."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from jobs.queue.buckets import Bucket, all_buckets_of, arguments, keys_of
from jobs.queue.clock import redis_clock
from jobs.queue.limiter import moment
from jobs.queue.redis import hints, script
from vendors.catalogue import catalogue
from vendors.models import Limit, Vendor, uses


class WindowUsage(NamedTuple):
    """Units that count in a window. `full_until`: when the next one may start, if it is full."""

    units: int
    full_until: datetime | None


@dataclass(frozen=True)
class Usage:
    """What one bucket counts now.

    `is_known`: whether Redis can be trusted; otherwise a worker counts its calls again before the
    next one. `next_start`: the earliest by the pace. `windows`: as those of the bucket.
    `quota_units`: that count until `resets_at`.
    """

    bucket: Bucket
    is_known: bool = False
    in_flight: int = 0
    next_start: datetime | None = None
    quota_units: int = 0
    resets_at: datetime | None = None
    windows: list[WindowUsage] = field(default_factory=list)


def of_vendor(vendor: Vendor) -> list[Bucket]:
    """Return the buckets that calls of the vendor are charged to, of all keys of its credential.

    Raises ValueError if its limits, or its credential, can't be used.
    """
    return all_buckets_of(vendor)


def of_limit(limit: Limit) -> list[Bucket]:
    """Return the buckets of a limit: one, or one for each key of its vendors' credentials. Raises
    ValueError as `of_vendor` does.
    """
    users = (vendor for vendor in catalogue.all().values() if uses(vendor, limit))
    found = (bucket for vendor in users for bucket in of_vendor(vendor))
    return list({bucket.name: bucket for bucket in found if bucket.limit == limit.slug}.values())


def usage_of(buckets: Iterable[Bucket]) -> list[Usage]:
    """Return what these buckets count, by one script. Raises redis.RedisError."""
    buckets = list(buckets)
    args = arguments(buckets, redis_clock.now())
    # The script counts windows and quotas as `take` does.
    _, *replies = script("limits", "usage")(keys=keys_of(buckets), args=args, client=hints())
    return [_usage(bucket, reply) for bucket, reply in zip(buckets, replies, strict=True)]


def _usage(bucket: Bucket, reply: list[int]) -> Usage:
    if not reply:
        return Usage(bucket)
    in_flight, next_us, quota_units, resets_us, *windows = reply
    pairs = zip(windows[::2], windows[1::2], strict=True)
    return Usage(
        bucket,
        is_known=True,
        in_flight=in_flight,
        next_start=_moment(next_us),
        quota_units=quota_units,
        resets_at=_moment(resets_us),
        windows=[WindowUsage(units, _moment(full_us)) for units, full_us in pairs],
    )


def _moment(at_us: int) -> datetime | None:
    return moment(str(at_us)) if at_us else None
