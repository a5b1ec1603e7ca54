"""How long a vendor needs for the jobs of a bulk action, at its limits as they are now."""

from dataclasses import dataclass

from jobs.bulk.pace import Bound, bounds_of, slowest
from jobs.monitoring import snapshot
from vendors.catalogue import catalogue


@dataclass(frozen=True)
class Estimate:
    """`seconds`: None if nothing says how long. `name`: what it depends on."""

    seconds: float | None = None
    name: str = ""
    waiting: int = 0  # jobs that the vendor has before them


def of(slug: str, jobs: int, per_second: float | None, *, behind_others: bool = True) -> Estimate:
    """Return how long so many jobs take. `behind_others`: with what waits before them."""
    vendor, line = catalogue.get(slug), snapshot.current().vendor(slug)
    bounds = bounds_of(vendor) if vendor else []
    waiting = (line and line.waiting) or 0
    if line and line.max_in_flight and line.p50_seconds:
        cap = f"{line.max_in_flight:,} in flight at a time"
        bounds.append(Bound(cap, line.max_in_flight, line.p50_seconds))
    all_jobs = jobs + (waiting if behind_others else 0)
    found = slowest(bounds, all_jobs)
    if per_second:
        asked = Bound(f"{per_second:g} a second", per_second, 1.0)
        found = max(filter(None, (found, slowest([asked], jobs))))
    if found is None and line and line.done_per_minute:
        found = all_jobs / line.done_per_minute * 60, "what it does at present"
    if found is None:
        return Estimate(waiting=waiting)
    return Estimate(found[0], found[1], waiting)
