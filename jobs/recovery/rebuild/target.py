"""Which buckets a rebuild restores, and which calls each of them counts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from jobs.queue import limiter
from jobs.queue.buckets import Bucket, all_buckets_of, quota_text
from jobs.queue.keys import Keys, limit_keys
from jobs.queue.redis import commands
from jobs.queue.restore import Content
from jobs.recovery.rebuild.rows import Rows, Selection
from vendors.limits import Range
from vendors.models import Vendor


@dataclass
class Target:
    """A bucket that is rebuilt, for the vendors whose calls it counts now."""

    bucket: Bucket
    vendors: list[Vendor]

    @cached_property
    def selection(self) -> Selection:
        slugs = frozenset(vendor.slug for vendor in self.vendors)
        return Selection(slugs, self.bucket.limit, self.bucket.key)

    @property
    def streams(self) -> list[str]:
        """Where the vendor's entries are, if the bucket is its own."""
        if self.bucket.limit:
            return []
        keys = Keys(self.vendors[0].slug)
        return [keys.retries, keys.jobs]

    @cached_property
    def _memory(self) -> tuple[int, float]:
        """How many units, and of how many seconds, the log must hold."""
        windows = self.bucket.windows
        if not self.bucket.limit:
            return limiter.memory(self.vendors[0])
        units = max((window.calls for window in windows), default=0)
        return units, max((window.seconds for window in windows), default=0.0)

    def _ranges(self, now: datetime) -> list[Range]:
        ranges = self.bucket.quota.ranges(now) if self.bucket.quota else []
        return [each for each in ranges if each.begin <= now < each.end]

    def read_unfinished(self, rows: Rows, now: datetime) -> None:
        """Note the calls without an end: those that may be in progress or in the log, and those of
        which it is not known whether they began in a range of the quota.
        """
        latest = now + timedelta(hours=1)  # until the permit of a call by hand is known
        rows.read_unfinished(self.selection, now - timedelta(seconds=self._memory[1]), latest)
        for each in self._ranges(now):
            rows.read_unfinished(self.selection, each.begin, each.begin)

    def content(self, rows: Rows, now: datetime) -> Content:
        now_us = limiter.microseconds(now)
        units, seconds = self._memory
        since = now - timedelta(seconds=seconds)
        spent: dict[str, int] = {}
        is_estimated = False
        for each in self._ranges(now):
            name = f"{limiter.microseconds(each.begin)}:{limiter.microseconds(each.end)}"
            spent[name], guessed = rows.spent(self.selection, each, now_us)
            is_estimated |= guessed
        return Content(
            windows=self.bucket.windows,
            starts=rows.starts(self.selection, since, units, now_us) if units else (),
            in_flight=rows.in_flight(self.selection) if self._keeps_slots else (),
            members=[f"{vendor.slug}:{vendor.membership}" for vendor in self.vendors],
            version=self.bucket.version,
            quota=quota_text(self.bucket.quota),
            spent=spent,
            is_estimated=is_estimated,
            is_capped=self.bucket.max_in_flight is not None,
        )

    @property
    def _keeps_slots(self) -> bool:
        """Whether jobs in flight are kept: in a shared bucket only if their number is limited."""
        return not self.bucket.limit or self.bucket.max_in_flight is not None


def stale_buckets(vendor: Vendor) -> list[Bucket]:
    """Return those of a vendor's buckets that can't be trusted, whether or not their keys may be
    used now. None if it can't be called. Raises redis.RedisError.
    """
    try:
        return limiter.stale(all_buckets_of(vendor))
    except ValueError:  # a limit does not exist or can't be read
        return []


def targets_of(buckets: Mapping[str, list[Bucket]], known: Mapping[str, Vendor]) -> list[Target]:
    """Return a target for each of the buckets, which are given by the slug of a vendor. `known`:
    all vendors.
    """
    return [
        Target(bucket, [known[name] for name in sorted({slug, *_members(bucket, known)})])
        for slug, of_vendor in buckets.items()
        for bucket in of_vendor
    ]


def capped_targets(known: Mapping[str, Vendor]) -> Iterable[Target]:
    """Return a target for each shared limit on jobs in flight, or for each key that it counts."""
    found: dict[str, Target] = {}
    for vendor in known.values():
        try:
            buckets = all_buckets_of(vendor)
        except ValueError:
            continue
        capped = [bucket for bucket in buckets if bucket.limit and bucket.max_in_flight]
        targets = targets_of({vendor.slug: capped}, known)
        found |= {target.bucket.keys.state: target for target in targets}
    return found.values()


def _members(bucket: Bucket, known: Mapping[str, Vendor]) -> set[str]:
    if not bucket.limit:
        return set()
    return {vendor.slug for vendor in known.values() if bucket.limit in vendor.limit_names}


def of_other_scope(targets: Iterable[Target]) -> Iterator[str]:
    """Yield the keys in Redis of the same limits from when they counted the keys of a credential
    together, and not each on its own, or the other way round. Raises redis.RedisError.
    """
    together = {target.bucket.limit for target in targets if not target.bucket.key} - {""}
    for target in targets:
        if target.bucket.key:
            keys = limit_keys(target.bucket.limit)
            yield from (keys.log, keys.state, keys.in_flight)
    for name in commands().scan_iter(limit_keys("*", "*").state, count=1000) if together else ():
        limit, _, key = name.partition("{")[2].partition("}")[0].partition("/")
        if limit in together:
            keys = limit_keys(limit, key)
            yield from (keys.log, keys.state, keys.in_flight)
