"""Quotas by the calendar: so many calls a day, a week or a month, in the vendor's time zone."""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

# How long before and after the boundary of two periods a call counts in both, because the vendor's
# clock differs from ours.
BOUNDARY = timedelta(seconds=5)
PERIODS = ("day", "week", "month")


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

    def __str__(self) -> str:
        begin = f" from day {self.first_day}" if self.first_day > 1 else ""
        then = "fails jobs" if self.fails else "holds jobs"
        return f"{self.calls} a {self.period}{begin} ({self.zone}), then {then}"

    def ranges(self, now: datetime) -> list[Range]:
        """Return the ranges of the previous, the current and the next period, in UTC."""
        begins = self._begins(now)
        current = bisect_right(begins, now) - 1
        around = begins[current - 1 : current + 3]
        return [
            Range(begin - BOUNDARY, end + BOUNDARY)
            for begin, end in zip(around, around[1:], strict=False)
        ]

    def _begins(self, now: datetime) -> list[datetime]:
        """Return when periods around `now` begin, each once, in order."""
        # As instants: where clocks are set back past midnight, a date may begin, end and go on. And
        # where a whole day is left out, it begins with the next one.
        midnights = (datetime.combine(it, time(), self.tzinfo) for it in self._first_dates(now))
        return sorted({midnight.astimezone(UTC) for midnight in midnights})

    def _first_dates(self, now: datetime) -> Iterator[date]:
        """Yield the first dates of the seven periods around `now`."""
        today = now.astimezone(self.tzinfo).date()
        monday = today - timedelta(days=today.weekday())
        for shift in range(-3, 4):
            if self.period == "month":
                yield self._first_date(today.year * 12 + today.month - 1 + shift)
            elif self.period == "week":
                yield monday + timedelta(weeks=shift)
            else:
                yield today + timedelta(days=shift)

    def _first_date(self, month: int) -> date:
        """Return when the period begins in a month, counted from the year 0."""
        year, month = month // 12, month % 12 + 1
        return date(year, month, min(self.first_day, monthrange(year, month)[1]))

    @cached_property
    def tzinfo(self) -> ZoneInfo:
        return ZoneInfo(self.zone)
