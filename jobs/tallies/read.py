"""Reads what was counted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.models import Span, Tally
from jobs.tallies.counts import Counts, summed

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Point:
    """What happened in one step of a series, which begins `at`."""

    at: datetime
    counts: Counts


def by_vendor(since: datetime, until: datetime) -> dict[str, Counts]:
    """Return what happened from `since` on and before `until`, to the minute, by vendor; '' for
    what belongs to none.
    """
    found: dict[str, Counts] = defaultdict(Counts)
    for vendor, _, counts in _rows(since, until):
        found[vendor].merge(counts)
    return dict(found)


def series(
    since: datetime, until: datetime, step: timedelta, vendor: str | None = None
) -> list[Point]:
    """Return what happened in each step (a minute, five, an hour or a day), of one vendor or of
    all. The first step begins at or before `since`, and the last one may be under way.
    """
    by_step: dict[datetime, list[Counts]] = defaultdict(list)
    for slug, at, counts in _rows(since, until):
        if vendor in (None, slug):
            by_step[floor(at, step)].append(counts)
    return [Point(at, summed(by_step[at])) for at in _steps(since, until, step)]


def series_by_vendor(since: datetime, until: datetime, step: timedelta) -> dict[str, list[Point]]:
    """Return the series of each vendor to which anything happened."""
    slugs = by_vendor(since, until)
    return {slug: series(since, until, step, slug) for slug in slugs}


def totals() -> dict[str, Counts]:
    """Return everything that was ever counted, by vendor. None of the numbers ever falls."""
    return by_vendor(datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC))


def floor(at: datetime, step: timedelta) -> datetime:
    """Return when the step that this time is in begins, in UTC."""
    return at - timedelta(seconds=at.timestamp() % step.total_seconds())


def _steps(since: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    at = floor(since, step)
    while at < until:
        yield at
        at += step


def _rows(since: datetime, until: datetime) -> Iterator[tuple[str, datetime, Counts]]:
    rows = Tally.objects.filter(span=Span.MINUTE, at__gte=floor(since, MINUTE), at__lt=until)
    found: Iterable[tuple[str, datetime, Any]] = rows.values_list("vendor", "at", "counts")
    for vendor, at, counts in found:
        yield vendor, at, Counts.from_json(counts)
