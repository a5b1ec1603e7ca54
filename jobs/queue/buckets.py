"""What counts a vendor's calls: a bucket of its own, with its private limits, and one for each
limit that it names; if that counts `per = "credential"`, one for each key of the credential.

A call is charged to all buckets of its vendor and key, or to none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any

from jobs.queue.keys import BucketKeys, Keys, limit_keys
from vendors.limits import Quota, Window
from vendors.models import Limit, Vendor


@dataclass(frozen=True)
class Bucket:
    """What one limit counts. `limit`: its slug, '' for the vendor's own bucket."""

    limit: str
    key: str  # that it counts, of the vendor's credential; '' if it counts the calls of all
    version: int  # of the row that defines it
    member: str  # "slug:membership" of the vendor; '' for the vendor's own bucket
    keys: BucketKeys
    windows: tuple[Window, ...] = ()
    max_in_flight: int | None = None
    quota: Quota | None = None

    @property
    def name(self) -> str:
        """As in "limit" or "limit/KEY"; '' for the vendor's own bucket."""
        return f"{self.limit}/{self.key}" if self.key else self.limit

    def arguments(self, now: datetime) -> list[Any]:
        """Return its ARGV of limits.lua. `now`: by Redis' clock."""
        if not self.limit:
            return self._settings
        quota = _quota_arguments(self.quota, int(now.timestamp())) if self.quota else [""]
        return [*self._settings, self.key, *quota]

    @cached_property
    def _settings(self) -> list[Any]:
        windows = window_arguments(self.windows)
        return [self.member, self.version, self.max_in_flight or 0, *windows]


def window_arguments(windows: Sequence[Window]) -> list[int]:
    """Return the number of windows, then calls and microseconds of each."""
    pairs = [(window.calls, round(window.seconds * 1_000_000)) for window in windows]
    return [len(windows), *chain.from_iterable(pairs)]


@lru_cache(maxsize=1000)  # computed once a second: no period begins between two
def _quota_arguments(quota: Quota, second: int) -> list[Any]:
    ranges = quota.ranges(datetime.fromtimestamp(second, UTC))
    times = [round(at.timestamp() * 1_000_000) for pair in ranges for at in pair]
    return [quota_text(quota), quota.calls, len(ranges), *times]


def quota_text(quota: Quota | None) -> str:
    """Return what identifies the periods of a quota; '' without one."""
    return f"{quota.period} {quota.first_day} {quota.zone}" if quota else ""


def own_bucket(
    slug: str, version: int = 0, windows: Sequence[Window] = (), max_in_flight: int | None = None
) -> Bucket:
    return Bucket("", "", version, "", Keys(slug), tuple(windows), max_in_flight)


class Buckets:
    """The buckets of one vendor. Its own is the first in each list."""

    def __init__(self, vendor: Vendor) -> None:
        """Raises ValueError if a limit that the vendor names does not exist or can't be read."""
        self._vendor = vendor
        self._by_key: dict[str, list[Bucket]] = {}
        self.admissions: dict[Any, Any] = {}  # of jobs.queue.take, by the keys that may be used
        self._limits = [(row, row.rules) for row in vendor.limits] if vendor.limit_names else []
        cap = vendor.max_in_flight
        self.own = own_bucket(vendor.slug, vendor.version, vendor.windows, cap)
        self.common = [self.own, *(self._bucket(row, "") for row in self._of_limits(False))]

    @cached_property
    def are_charged(self) -> bool:
        """Whether a call takes a permit, since a bucket has windows or a quota."""
        rules = (rules for _, rules in self._limits)
        return bool(self.own.windows) or any(each.windows or each.quota for each in rules)

    @cached_property
    def have_slots(self) -> bool:
        """Whether a bucket limits the jobs in flight."""
        rules = (rules for _, rules in self._limits)
        return bool(self.own.max_in_flight) or any(each.max_in_flight for each in rules)

    def of(self, key: str) -> list[Bucket]:
        """Return the buckets that a call with this key of the credential is charged to."""
        return [*self.common, *self.of_key_alone(key)]

    def of_key_alone(self, key: str) -> list[Bucket]:
        """Return those that count this key alone."""
        if key not in self._by_key:
            self._by_key[key] = [self._bucket(row, key) for row in self._of_limits(True)]
        return self._by_key[key]

    def of_all(self, keys: Iterable[str]) -> list[Bucket]:
        """Return those that calls with any of these keys are charged to."""
        return [*self.common, *(bucket for key in keys for bucket in self.of_key_alone(key))]

    def _of_limits(self, per_credential: bool) -> list[Limit]:
        return [row for row, rules in self._limits if rules.per_credential == per_credential]

    def _bucket(self, row: Limit, key: str) -> Bucket:
        return Bucket(
            limit=row.slug,
            key=key,
            version=row.version,
            member=f"{self._vendor.slug}:{self._vendor.membership}",
            keys=limit_keys(row.slug, key),
            windows=row.rules.windows,
            max_in_flight=row.rules.max_in_flight,
            quota=row.rules.quota,
        )


def buckets_of(vendor: Vendor) -> Buckets:
    """Return the vendor's buckets, computed once for each version of its row. Raises ValueError
    as Buckets does.
    """
    # The catalogue makes a new object when the vendor or one of its limits has changed.
    cached: tuple[object, Buckets] | None = vars(vendor).get("_buckets")
    if cached is None or cached[0] != vendor.version:
        cached = vendor.version, Buckets(vendor)
        vars(vendor)["_buckets"] = cached
    return cached[1]


def all_buckets_of(vendor: Vendor) -> list[Bucket]:
    """Return the buckets that calls are charged to with any key of the vendor's credential. Raises
    ValueError if its limits, or its credential, can't be used.
    """
    names = vendor.credential.scheme.names if vendor.credential else [""]
    return buckets_of(vendor).of_all(names)


def keys_of(buckets: Iterable[Bucket]) -> list[str]:
    """Return the first KEYS of limits.lua."""
    return [
        key
        for keys in (bucket.keys for bucket in buckets)
        for key in (keys.log, keys.state, keys.in_flight, keys.freed)
    ]


def arguments(buckets: Iterable[Bucket], now: datetime) -> list[Any]:
    """Return the first ARGV of limits.lua. `now`: by Redis' clock."""
    buckets = list(buckets)
    flat = [argument for bucket in buckets for argument in bucket.arguments(now)]
    return [len(buckets), *flat]
