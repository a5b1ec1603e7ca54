"""How much of its limits a vendor, or all vendors of a shared limit, have used, as a table."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import redis
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from jobs.admin import key_states
from jobs.admin.formats import counted, moment
from jobs.queue import usage
from jobs.queue.buckets import Bucket
from jobs.queue.clock import redis_clock
from jobs.queue.usage import Usage, usage_of
from vendors.catalogue import catalogue
from vendors.limits import parse
from vendors.limits.windows import SECONDS
from vendors.models import Limit, Vendor

NO_REDIS = "Unknown: Redis does not answer."
NO_VENDOR = "Nothing: no vendor names this limit."
NO_LIMITS = "The vendor has no limits."
NOT_COUNTED = "Not counted yet: a worker does this before the next call."
SHORT_SECONDS = 10
SOON = timedelta(seconds=1)
MAX_BUCKETS = 50  # in one table: a pool may have 100 keys, and a vendor 8 limits for each


class Measure(NamedTuple):
    """One thing that a bucket limits. `most`: what it allows at most."""

    allows: str
    used: int
    most: int
    note: str = ""

    @property
    def shown(self) -> str:
        return f"{self.used:,}"


class Row(NamedTuple):
    """A bucket in the table. `url`: of its limit's page."""

    name: str
    key: str
    url: str
    measures: list[Measure]


def of_vendor(vendor: Vendor, *, has_links: bool) -> str | SafeString:
    """Return the usage of all buckets that count the vendor's calls."""
    known = catalogue.get(vendor.slug) or vendor  # not the values of a form
    return _table(lambda: usage.of_vendor(known), known, has_links=has_links) or NO_LIMITS


def of_limit(limit: Limit) -> str | SafeString:
    """Return the usage of the limit's buckets."""
    return _table(lambda: usage.of_limit(limit), None) or NO_VENDOR


def _table(
    read_buckets: Callable[[], Sequence[Bucket]], vendor: Vendor | None, *, has_links: bool = False
) -> str | SafeString:
    """Return a table; '' without buckets that limit anything. `vendor`: whose page it is."""
    try:
        buckets = [bucket for bucket in read_buckets() if _limits_anything(bucket)]
        found = usage_of(buckets[:MAX_BUCKETS]) if buckets else []
    except redis.RedisError:
        return NO_REDIS
    except ValueError as error:
        return f"Unknown: {error}"
    if not found:
        return ""
    keys = _keys({each.bucket.key for each in found} - {""}, vendor)
    context = {
        "rows": [
            _row(each, keys.get(each.bucket.key, ""), vendor, has_links=has_links) for each in found
        ],
        "is_vendor": vendor is not None,
        "has_keys": bool(keys),
        "not_counted": NOT_COUNTED,
        "more": len(buckets) - len(found) and counted(len(buckets) - len(found), "bucket"),
    }
    return render_to_string("admin/vendors/usage.html", context)


def _limits_anything(bucket: Bucket) -> bool:
    return bool(bucket.windows or bucket.max_in_flight or bucket.quota)


def _row(found: Usage, key: str, vendor: Vendor | None, *, has_links: bool) -> Row:
    bucket = found.bucket
    limit = _limit_of(bucket)
    url = reverse("admin:vendors_limit_change", args=[limit.pk]) if limit and has_links else ""
    windows = limit.definition.get("windows", "") if limit else vendor.rate_limits if vendor else ""
    name = bucket.limit or "Its own"
    return Row(name, key, url, list(_measures(found, windows)) if found.is_known else [])


def _keys(bucket_keys: set[str], vendor: Vendor | None) -> dict[str, str]:
    """Return the keys by name, each with its state unless calls are made with it."""
    shown = {name: name for name in bucket_keys}
    vendors = [vendor] if vendor else catalogue.all().values()
    pools = {each.credential for each in vendors if each.credential}
    alive = key_states.workers() if shown else []
    for pool in pools:
        for name, words in key_states.words(pool, alive, redis_clock.now()).items():
            if words and name in shown:
                shown[name] = f"{name} ({', '.join(words)})"
    return shown


def _limit_of(bucket: Bucket) -> Limit | None:
    # Not by `limits`: another vendor may name one that does not exist.
    named = (vendor.named_limits.get(bucket.limit) for vendor in catalogue.all().values())
    return next((limit for limit in named if limit), None)


def _measures(found: Usage, windows: str) -> Iterator[Measure]:
    # The bucket's own windows are longer, by the arrival margin.
    paced = _pace(found)
    for window, each in zip(parse(windows), found.windows, strict=True):
        note = _full(each.full_until) if each.full_until else paced
        paced = ""  # which is that of the first window, the shortest
        allows = f"{window.calls:,}/{_period(round(window.seconds))}"
        yield Measure(allows, each.units, window.calls, note)
    bucket = found.bucket
    if bucket.max_in_flight:
        is_full = found.in_flight >= bucket.max_in_flight
        note = "full until one of them ends" if is_full else ""
        yield Measure(
            f"{bucket.max_in_flight:,} in flight", found.in_flight, bucket.max_in_flight, note
        )
    if quota := bucket.quota:
        begin = f" from day {quota.first_day}" if quota.first_day > 1 else ""
        allows = f"{quota.calls:,} a {quota.period}{begin}, {quota.zone}"
        then = "jobs fail" if quota.fails else "jobs wait"
        spent = f"spent, {then}; " if found.quota_units >= quota.calls else ""
        yield Measure(
            allows, found.quota_units, quota.calls, f"{spent}resets at {moment(found.resets_at)}"
        )


def _full(until: datetime) -> str:
    """Return until when a window is full: of a short one, in how many seconds it is not."""
    seconds = (until - redis_clock.now()).total_seconds()
    if seconds < SHORT_SECONDS:
        return f"full for {max(seconds, 0.1):.1f} s more"
    return f"full until {moment(until)}"


def _pace(found: Usage) -> str:
    """Return when the next call may start, if that is not about now."""
    soon = redis_clock.now() + SOON
    is_later = found.next_start is not None and found.next_start > soon
    return f"evenly apart: the next at {moment(found.next_start)}" if is_later else ""


def _period(seconds: int) -> str:
    """Return the period of a window as operators write it, such as "min" or "5min"."""
    unit, size = next(
        (unit, size) for unit, size in reversed(SECONDS.items()) if seconds % size == 0
    )
    return unit if seconds == size else f"{seconds // size}{unit}"
