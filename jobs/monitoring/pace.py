"""How long a vendor's backlog will take, and what that depends on."""

from dataclasses import dataclass
from datetime import datetime

from jobs.monitoring.history import VendorHistory, recent_minutes
from jobs.monitoring.windows import as_written, label_of
from jobs.queue.usage import Usage
from vendors.limits import Window
from vendors.models import Vendor

MIN_SAMPLES = 20  # calls or jobs, for a rate to be measured


@dataclass(frozen=True)
class Pace:
    """At most so many jobs a second, because of this."""

    per_second: float
    bound: str


def pace_of(
    vendor: Vendor, usages: list[Usage], history: VendorHistory, now: datetime, threads: int
) -> Pace | None:
    """Return how fast the vendor's jobs can be done as things are; None if nothing tells.
    `threads`: of all workers that call it.
    """
    paces = [
        *_by_windows(vendor, usages),
        *_by_slots(vendor, usages, history, threads),
        *_by_experience(history, now),
    ]
    return min(paces, key=lambda pace: pace.per_second, default=None)


def done_in(waiting: int, pace: Pace | None) -> tuple[float | None, str]:
    """Return in how many seconds so many jobs are done, and what that depends on."""
    if waiting == 0:
        return 0.0, ""
    if pace is None or pace.per_second <= 0:
        return None, ""
    return waiting / pace.per_second, pace.bound


def _by_windows(vendor: Vendor, usages: list[Usage]) -> list[Pace]:
    found = []
    for usage in usages:
        for window in as_written(vendor, usage.bucket.limit):
            per_second = window.calls / window.seconds / max(vendor.weight, 1)
            found.append(Pace(per_second, _named(window, usage.bucket.name)))
    return found


def _named(window: Window, bucket: str) -> str:
    return (
        f"{label_of(window)} of the limit {bucket}" if bucket else f"its limit {label_of(window)}"
    )


def _by_slots(
    vendor: Vendor, usages: list[Usage], history: VendorHistory, threads: int
) -> list[Pace]:
    """Return what slots and threads allow, given how long calls take. A slot of a vendor that
    answers later is taken for longer than the call, which nothing measures.
    """
    seconds = history.call.quantile(0.5) if history.call.count >= MIN_SAMPLES else None
    if not seconds:
        return []
    found = [Pace(threads / seconds, f"{threads} threads of the workers")] if threads else []
    caps = [usage.bucket.max_in_flight for usage in usages if usage.bucket.max_in_flight]
    if caps and not vendor.expects_callback:
        found.append(Pace(min(caps) / seconds, f"at most {min(caps)} in flight"))
    return found


def _by_experience(history: VendorHistory, now: datetime) -> list[Pace]:
    """Return how fast jobs were done lately, if there were always some to do: otherwise the rate is
    only that at which they came.
    """
    samples = history.waiting[-4:]
    ended = history.done + history.failed
    if len(samples) < 4 or not all(samples) or ended < MIN_SAMPLES:
        return []
    minutes = recent_minutes(now)
    return [Pace(ended / minutes / 60, "the rate of the last five minutes")]
