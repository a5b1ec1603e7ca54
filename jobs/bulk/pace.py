"""How long a vendor needs for jobs, at its limits as they are now."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jobs.queue.buckets import buckets_of
from vendors.limits import Window
from vendors.models import Vendor

UNITS = {1: "s", 60: "min", 3600: "h", 86400: "day"}
LONG_SECONDS = 3700  # a longer window admits its calls all at once


@dataclass(frozen=True)
class Bound:
    """At most `count` jobs in each period of `seconds`. `name`: as in "limited by 500/min"."""

    name: str
    count: float
    seconds: float

    def seconds_for(self, jobs: int) -> float:
        if self.seconds > LONG_SECONDS:
            return jobs // self.count * self.seconds
        return jobs / self.count * self.seconds


def bounds_of(vendor: Vendor) -> list[Bound]:
    """Return the bounds by the rate limits that the vendor's calls are charged to, as if no other
    vendor shared them and all keys of its credential were used alike.
    """
    try:
        buckets = buckets_of(vendor)
    except ValueError:
        return []
    keys = vendor.credential.scheme.keys if vendor.credential else ()
    found = [bound for it in buckets.common for bound in _bounds(it.windows, it.limit, vendor, 1)]
    for bucket in buckets.of_key_alone(keys[0] if keys else ""):
        found += _bounds(bucket.windows, bucket.limit, vendor, len(keys) or 1)
    return found


def _bounds(windows: Iterable[Window], limit: str, vendor: Vendor, keys: int) -> Iterator[Bound]:
    for window in windows:
        name = f"{window.calls:,}/{_period(window.seconds)}"
        name += f" of {limit}" if limit else ""
        yield Bound(name, window.calls * keys / (vendor.weight or 1), window.seconds)


def _period(seconds: float) -> str:
    return UNITS.get(int(seconds)) or f"{int(seconds)} s"


def slowest(bounds: Iterable[Bound], jobs: int) -> tuple[float, str] | None:
    """Return how long so many jobs take, and by which bound; None without one."""
    timed = [(bound.seconds_for(jobs), bound.name) for bound in bounds]
    return max(timed, default=None)
