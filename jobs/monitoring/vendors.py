"""The lines of the vendors in a snapshot."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobs.monitoring import pace
from jobs.monitoring.backlog import Backlog
from jobs.monitoring.facts import VendorLine, VendorState
from jobs.monitoring.history import VendorHistory, recent_minutes
from jobs.monitoring.states import state_of
from jobs.monitoring.windows import fullest_cap, tightest_of, uses_of
from jobs.queue.snapshot import Snapshot
from jobs.recovery.unusable import everywhere
from vendors.models import Vendor

ORDER = {state: number for number, state in enumerate(VendorState)}
NOT_CALLED = (VendorState.PAUSED, VendorState.NO_WORKER, VendorState.DOWN)


@dataclass
class Sources:
    """What the lines are made from."""

    redis: Snapshot
    histories: Mapping[str, VendorHistory] = field(default_factory=dict)
    delayed: Mapping[str, int] = field(default_factory=dict)  # queued jobs without an entry
    rows: Mapping[str, Backlog] = field(default_factory=dict)  # while Redis is away


def lines(vendors: Iterable[Vendor], sources: Sources) -> list[VendorLine]:
    """Return a line for each vendor, the worst state first."""
    unusable = everywhere(sources.redis.reports)
    found = [_line(vendor, sources, unusable) for vendor in vendors]
    return sorted(found, key=lambda line: (ORDER[line.state], line.slug))


def _line(vendor: Vendor, sources: Sources, unusable: Mapping[str, str]) -> VendorLine:
    redis, slug = sources.redis, vendor.slug
    held = redis.vendors.get(slug)
    history = sources.histories.get(slug) or VendorHistory()
    usages = held.usages if held else []
    windows = uses_of(vendor, usages)
    tightest = tightest_of(windows)
    state = state_of(vendor, redis, tightest, unusable)
    backlog = _backlog(slug, sources)
    seconds: float | None = None
    bound = ""
    if backlog and state.state not in NOT_CALLED:
        threads = _threads(redis, slug)
        speed = pace.pace_of(vendor, usages, history, redis.now, threads)
        seconds, bound = pace.done_in(backlog.waiting, speed)
    return VendorLine(
        vendor,
        slug,
        state.state,
        state.sentence,
        state.since,
        state.until,
        waiting=backlog.waiting if backlog else None,
        oldest_seconds=backlog.oldest_seconds if backlog else None,
        in_flight=backlog.in_flight if backlog else None,
        max_in_flight=fullest_cap(vendor, usages),
        calling=held.calling if held else None,
        windows=windows,
        tightest=tightest,
        done_per_minute=history.done / recent_minutes(redis.now),
        sparkline=history.sparkline,
        calls_5min=history.calls,
        errors_5min=history.errors,
        failed_hour=history.failed_hour,
        p50_seconds=history.call.quantile(0.5),
        p95_seconds=history.call.quantile(0.95),
        samples=history.call.count,
        done_in_seconds=seconds,
        done_in_bound=bound,
    )


def _backlog(slug: str, sources: Sources) -> Backlog | None:
    held = sources.redis.vendors.get(slug)
    if held is None:
        return sources.rows.get(slug)
    waiting = held.queued + sources.delayed.get(slug, 0)
    return Backlog(waiting, held.in_flight, held.oldest_seconds)


def _threads(redis: Snapshot, slug: str) -> int:
    """Return how many threads call the vendor's jobs, or others."""
    alive = (worker.name for worker in redis.workers if worker.is_alive)
    facts = (redis.facts[name] for name in alive if name in redis.facts)
    return sum(each.threads for each in facts if not each.only or slug in each.only)
