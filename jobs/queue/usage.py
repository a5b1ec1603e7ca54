"""How much of its limits a vendor, or all vendors of a shared limit, have used: for the console."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import redis

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


USAGE = ("limits", "usage")


class UsageQuestion:
    """How much of a vendor's limits is used? Asked in one pipeline with other questions."""

    def __init__(self, vendor: Vendor) -> None:
        try:
            buckets = of_vendor(vendor)
        except ValueError:  # nobody calls a vendor with a limit or credential that can't be read
            buckets = []
        self._buckets = [it for it in buckets if it.windows or it.quota or it.max_in_flight]

    def ask(self, pipeline: Any) -> None:
        """Add a command whose reply `answer` reads."""
        if not self._buckets:
            pipeline.echo("")
            return
        keys, args = keys_of(self._buckets), arguments(self._buckets, redis_clock.now())
        pipeline.evalsha(script(*USAGE).sha, len(keys), *keys, *args)

    def answer(self, reply: Any) -> list[Usage]:
        """Return the usage of its buckets that limit anything; of none if Redis refused to say."""
        if not self._buckets or isinstance(reply, redis.RedisError):
            return []
        return _usages(self._buckets, reply)


def usage_of(buckets: Iterable[Bucket]) -> list[Usage]:
    """Return what these buckets count, by one script. Raises redis.RedisError."""
    buckets = list(buckets)
    args = arguments(buckets, redis_clock.now())
    # The script counts windows and quotas as `take` does.
    replies = script(*USAGE)(keys=keys_of(buckets), args=args, client=hints())
    return _usages(buckets, replies)


def _usages(buckets: Sequence[Bucket], replies: Sequence[Any]) -> list[Usage]:
    """Return the usages in a reply of the script, which begins with the time."""
    return [_usage(bucket, reply) for bucket, reply in zip(buckets, replies[1:], strict=True)]


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
