"""Quotas by the calendar: so many calls a day, a week or a month, in the vendor's time zone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

# How long before and after the boundary of two periods a call counts in both, because the vendor's
# clock differs from ours.
BOUNDARY = timedelta(seconds=5)


class Range(NamedTuple):
    """A call at `begin` or later and before `end` counts in the period of this range."""

    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Quota:
    """At most `calls` units in each `period`: day, week or month. A week begins on Monday, a month
    on the day `first_day` or, if it is shorter, on its last.

    `fails`: when it is spent, jobs fail with quota_spent; otherwise they wait.
    """

    calls: int
    period: str
    zone: str = "UTC"
    first_day: int = 1
    fails: bool = False

    def ranges(self, now: datetime) -> list[Range]:
        """Return the ranges of the previous, the current and the next period."""
        begin = self._begin(now)
        end = self._next(begin)
        before, after = self._begin(begin - timedelta(hours=12)), self._next(end)
        periods = [(before, begin), (begin, end), (end, after)]
        return [Range(first - BOUNDARY, last + BOUNDARY) for first, last in periods]

    def _begin(self, at: datetime) -> datetime:
        """Return when the period began that contains `at`."""
        raise NotImplementedError

    def _next(self, begin: datetime) -> datetime:
        """Return when the period after the one that began then begins."""
        raise NotImplementedError

    @property
    def tzinfo(self) -> ZoneInfo:
        return ZoneInfo(self.zone)
