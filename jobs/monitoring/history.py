"""What was counted in the last hour and day, as a snapshot needs it."""

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.storage.store import STORE_ERRORS
from jobs.tallies.counts import Counts, Histogram
from jobs.tallies.marks import ALL
from jobs.tallies.read import MINUTE, by_vendor
from jobs.tallies.recent import recent

HOUR = timedelta(hours=1)
RECENT = timedelta(minutes=5)
EVENTS = timedelta(minutes=10)
DAY_AGE = timedelta(minutes=5)
SPARKS = 30


@dataclass
class VendorHistory:
    """What happened to one vendor, or to all."""

    done: int = 0  # in the last five minutes
    failed: int = 0
    calls: int = 0  # that ended
    errors: int = 0  # of them
    call: Histogram = field(default_factory=Histogram)
    failed_hour: int = 0
    calls_hour: int = 0
    errors_hour: int = 0
    calls_day: int = 0
    errors_day: int = 0
    codes: Counter[str] = field(default_factory=Counter)  # of the calls that failed, five minutes
    events: Counter[str] = field(default_factory=Counter)  # of the last ten minutes
    events_before: Counter[str] = field(default_factory=Counter)  # of the ten before
    at_cap: int = 0  # in how many of the last minutes it had no slot for a job
    sparkline: list[int] = field(default_factory=lambda: [0] * SPARKS)
    # The samples of the last minutes, the oldest first.
    waiting: list[int] = field(default_factory=list)
    oldest_seconds: list[float] = field(default_factory=list)

    @property
    def error_share(self) -> float:
        return self.errors / self.calls if self.calls else 0.0

    @property
    def error_share_day(self) -> float:
        return self.errors_day / self.calls_day if self.calls_day else 0.0


class History:
    """Remembers what was counted over the last day, which is read once in a few minutes."""

    def __init__(self) -> None:
        self._day: dict[str, Counts] = {}
        self._read_at: datetime | None = None

    def by_vendor(self, now: datetime) -> dict[str, VendorHistory]:
        """Return what happened, by vendor; '' for what belongs to none. `now`: by Redis' clock.
        Raises STORE_ERRORS.
        """
        minute = floor(now)
        found: dict[str, VendorHistory] = defaultdict(VendorHistory)
        for at, of_vendors in sorted(recent.minutes(now).items()):
            if at >= minute - HOUR:
                for vendor, counts in of_vendors.items():
                    if vendor != ALL:
                        _add(found[vendor], counts, minute - at)
        self._read_day(now)
        for vendor, counts in self._day.items():
            found[vendor].calls_day = counts.calls.total()
            found[vendor].errors_day = counts.calls["error"]
        return dict(found)

    def _read_day(self, now: datetime) -> None:
        """Read the last 24 hours, which are folded but for the last. What the patience is too short
        for is left out until the next time: only few rules look at a whole day.
        """
        if self._read_at and abs(now - self._read_at) < DAY_AGE:
            return
        self._read_at = now
        since = (now - timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
        with suppress(*STORE_ERRORS):
            self._day = by_vendor(since, now)


def recent_minutes(now: datetime) -> float:
    """Return how many minutes the recent ones are, of which the last is under way."""
    return (now - floor(now) + RECENT) / MINUTE


def floor(now: datetime) -> datetime:
    """Return when the minute began."""
    return now.replace(second=0, microsecond=0)


def _add(history: VendorHistory, counts: Counts, age: timedelta) -> None:
    calls, errors = counts.calls.total(), counts.calls["error"]
    history.failed_hour += counts.failed
    history.calls_hour += calls
    history.errors_hour += errors
    back = age // MINUTE
    if 0 <= back < SPARKS:
        history.sparkline[SPARKS - 1 - back] += counts.done
    if age <= RECENT:
        history.done += counts.done
        history.failed += counts.failed
        history.calls += calls
        history.errors += errors
        history.call.merge(counts.call)
        history.codes.update(counts.call_codes)
        history.at_cap += min(counts.events["at_cap"], 1)
    if age < EVENTS:
        history.events.update(counts.events)
    elif age < 2 * EVENTS:
        history.events_before.update(counts.events)
    if age <= EVENTS:
        _sample(history, counts)


def _sample(history: VendorHistory, counts: Counts) -> None:
    if counts.waiting is not None:
        history.waiting.append(counts.waiting)
    if counts.oldest_seconds is not None:
        history.oldest_seconds.append(counts.oldest_seconds)
