"""What was counted in the last hour and day, as a snapshot needs it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.tallies import read
from jobs.tallies.counts import Counts, Histogram
from jobs.tallies.read import MINUTE, floor

HOUR = timedelta(hours=1)
RECENT = timedelta(minutes=5)
EVENTS = timedelta(minutes=10)
OPEN_MINUTES = 4  # processes may still write to so many minutes, the current one included
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
    """Keeps the minutes of the last hour, and reads again only those that may still change."""

    def __init__(self) -> None:
        self._minutes: dict[str, dict[datetime, Counts]] = {}
        self._day: dict[str, Counts] = {}
        self._read_at: datetime | None = None
        self._minute: datetime | None = None  # when the day was read

    def read(self, now: datetime) -> None:
        """Read what is new. `now`: by Redis' clock. Raises STORE_ERRORS."""
        minute = floor(now, MINUTE)
        since = minute - HOUR
        if self._read_at and self._read_at > since:
            since = floor(self._read_at, MINUTE) - (OPEN_MINUTES - 1) * MINUTE
        fresh = read.by_minute(since, now + MINUTE)
        for minutes in self._minutes.values():
            for at in [at for at in minutes if at >= since or at < minute - HOUR]:
                del minutes[at]
        for vendor, minutes in fresh.items():
            self._minutes.setdefault(vendor, {}).update(minutes)
        if self._minute != minute:
            self._day, self._minute = read.by_vendor(now - timedelta(days=1), now), minute
        self._read_at = now

    def of_vendors(self, now: datetime) -> dict[str, VendorHistory]:
        """Return what happened, by vendor; '' for what belongs to none."""
        minute = floor(now, MINUTE)
        found = {}
        for vendor, minutes in self._minutes.items():
            found[vendor] = history = VendorHistory()
            for at in sorted(minutes):
                _add(history, minutes[at], minute - at)
            if day := self._day.get(vendor):
                history.calls_day, history.errors_day = day.calls.total(), day.calls["error"]
        return found

    @staticmethod
    def recent_minutes(now: datetime) -> float:
        """Return how many minutes the recent ones are, of which the last is under way."""
        return (now - floor(now, MINUTE) + RECENT) / MINUTE


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
