"""How much of a vendor's limits is used, in the words of whoever set them."""

from collections.abc import Iterator
from datetime import datetime

from jobs.monitoring.facts import WindowUse
from jobs.queue.usage import Usage
from vendors import limits
from vendors.limits import Window
from vendors.models import Vendor

UNITS = {seconds: unit for unit, seconds in limits.windows.SECONDS.items()}


def uses_of(vendor: Vendor, usages: list[Usage]) -> list[WindowUse]:
    """Return the use of each window and quota, the shortest of a limit first. What Redis can't be
    trusted about is left out.
    """
    return [use for usage in usages if usage.is_known for use in _uses(vendor, usage)]


def tightest_of(uses: list[WindowUse]) -> WindowUse | None:
    """Return the one of which the largest share is used; of several, the longest."""
    return max(reversed(uses), key=lambda use: use.share, default=None)


def label_of(window: Window) -> str:
    """Return a window as operators write it, such as 500/min."""
    seconds = round(window.seconds)
    unit = UNITS.get(seconds)
    if unit:
        return f"{window.calls}/{unit}"
    size = next(size for size in sorted(UNITS, reverse=True) if seconds % size == 0)
    return f"{window.calls}/{seconds // size}{UNITS[size]}"


def as_written(vendor: Vendor, limit: str) -> list[Window]:
    """Return the windows of a limit, '' for the vendor's own, without the arrival margin."""
    if not limit:
        return limits.parse(vendor.rate_limits)
    row = vendor.named_limits.get(limit)
    return limits.parse(str(row.definition.get("windows", ""))) if row else []


def _uses(vendor: Vendor, usage: Usage) -> Iterator[WindowUse]:
    bucket = usage.bucket
    written = as_written(vendor, bucket.limit)
    for window, used in zip(written, usage.windows, strict=False):
        label = label_of(window)
        yield WindowUse(label, used.units, window.calls, bucket.name, used.full_until)
    if bucket.quota:
        is_spent = usage.quota_units >= bucket.quota.calls
        until: datetime | None = usage.resets_at if is_spent else None
        label = f"{bucket.quota.calls}/{bucket.quota.period}"
        yield WindowUse(label, usage.quota_units, bucket.quota.calls, bucket.name, until)


def fullest_cap(vendor: Vendor, usages: list[Usage]) -> int | None:
    """Return the smallest cap on jobs in flight that applies to the vendor; None without one."""
    caps = [usage.bucket.max_in_flight for usage in usages if usage.bucket.max_in_flight]
    return min(caps, default=vendor.max_in_flight)
