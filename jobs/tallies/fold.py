"""Folds tallies: minutes over processes, then into hours, then into days; and drops the old ones.

Each step writes the new rows, whole, then moves the mark, and leaves what was folded for another
minute to those who still read by the old mark. So it can be interrupted anywhere and repeated, and
two leaders do no harm: what they read does not change any more (jobs.tallies.writer).
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from jobs.models import EPOCH, Span, Tally
from jobs.queue.clock import redis_clock
from jobs.storage import bulk_writes
from jobs.storage.store import writing
from jobs.tallies import marks
from jobs.tallies.counts import Counts, across_vendors, summed
from jobs.tallies.marks import ALL, Marks

FOLD_AFTER = timedelta(minutes=10)  # much later than the writers' two minutes
MAX_MINUTES = timedelta(minutes=30)  # at once
STEP_SECONDS = 0.5  # so that a backlog is folded soon, and other steps of the sweep go on
DELETE_AFTER_SECONDS = 60.0
CHUNK = 500
STEPS = {
    Span.MINUTE: timedelta(minutes=1),
    Span.HOUR: timedelta(hours=1),
    Span.DAY: timedelta(days=1),
}
KEPT = {
    Span.MINUTE: timedelta(hours=26),
    Span.HOUR: timedelta(days=90),
    Span.DAY: timedelta(days=731),
}

Cell = tuple[str, datetime]  # vendor and beginning


class Folder:
    """Does what is due, a bounded step at a time, for the leader of the sweep."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, Marks]] = []  # and when, in monotonic seconds

    def step(self) -> int:
        """Returns CHUNK or more if there is more to do at once."""
        now, began_at = redis_clock.now(), time.monotonic()
        while fold_one(found := marks.read(), now):
            if time.monotonic() - began_at > STEP_SECONDS:
                return CHUNK
        return self._delete(found, now)

    def _delete(self, found: Marks, now: datetime) -> int:
        """Delete what nobody reads any more. Returns how many rows."""
        monotonic = time.monotonic()
        if not self._seen or self._seen[-1][1] != found:
            self._seen.append((monotonic, found))
        while len(self._seen) > 1 and self._seen[1][0] <= monotonic - DELETE_AFTER_SECONDS:
            del self._seen[0]
        since, then = self._seen[0]
        if since > monotonic - DELETE_AFTER_SECONDS:
            return 0
        return delete_read(then, now)


def fold_one(found: Marks, now: datetime) -> bool:
    """Fold some minutes, an hour or a day. Returns whether a mark moved."""
    return fold_minutes(found, now) or fold_hour(found) or fold_day(found)


def fold_minutes(found: Marks, now: datetime) -> bool:
    """Fold some minutes over processes. Returns whether a mark moved."""
    limit = floor(now - FOLD_AFTER, Span.MINUTE)
    parts = Tally.objects.filter(span=Span.PART)
    first = _first(parts, found.minute, limit)
    if first is None:
        # Nothing happened. Then the mark moves only so that an hour can be folded.
        is_due = found.minute != EPOCH and floor(limit, Span.HOUR) > found.minute
        return is_due and marks.move(Span.MINUTE, found.minute, limit)
    until = min(first + MAX_MINUTES, limit)
    cells: dict[Cell, list[Counts]] = defaultdict(list)
    for vendor, at, counts in _read(parts.filter(at__gte=first, at__lt=until)):
        cells[vendor, at].append(counts)
    if marks.read() != found:
        return False  # another leader was first, and may have deleted some of these rows
    folded = {cell: summed(each) for cell, each in cells.items()}
    write(Span.MINUTE, _with_all(folded))
    return marks.move(Span.MINUTE, found.minute, until)


def fold_hour(found: Marks) -> bool:
    """Fold the minutes of an hour. Its counts join those before the mark in the same update."""
    counted = marks.counted_before()
    at, before = counted.at, counted.by_vendor()
    until = floor(found.minute, Span.HOUR)
    minutes = Tally.objects.filter(span=Span.MINUTE)
    first = _first(minutes, at, until)
    if at != found.hour:
        return False
    if first is None:
        is_due = at != EPOCH and floor(until, Span.DAY) > at
        return is_due and marks.move_hour(counted, until, before)
    hour = floor(first, Span.HOUR)
    end = hour + STEPS[Span.HOUR]
    folded = _folded(minutes.filter(at__gte=hour, at__lt=end), hour)
    for (vendor, _), counts in folded.items():
        if vendor != ALL:
            before.setdefault(vendor, Counts()).merge(counts.without_samples())
    if marks.read() != found:
        return False
    write(Span.HOUR, folded)
    return marks.move_hour(counted, end, before)


def fold_day(found: Marks) -> bool:
    """Fold the hours of a day."""
    hours = Tally.objects.filter(span=Span.HOUR)
    first = _first(hours, found.day, floor(found.hour, Span.DAY))
    if first is None:
        return False
    day = floor(first, Span.DAY)
    end = day + STEPS[Span.DAY]
    folded = _folded(hours.filter(at__gte=day, at__lt=end), day)
    if marks.read() != found:
        return False
    write(Span.DAY, folded)
    return marks.move(Span.DAY, found.day, end)


def delete_read(then: Marks, now: datetime) -> int:
    """Delete some of the rows that nobody reads any more, by marks that have been in force for some
    time, and those that are too old to be shown. Returns how many.
    """
    kept_since = {span: now - kept for span, kept in KEPT.items()}
    unread_before = {
        Span.PART: then.minute,
        Span.MINUTE: min(then.hour, kept_since[Span.MINUTE]),
        Span.HOUR: min(then.day, kept_since[Span.HOUR]),
        Span.DAY: kept_since[Span.DAY],
    }
    for span, before in unread_before.items():
        rows = Tally.objects.filter(span=span, at__lt=before)
        if ids := list(rows.order_by("at").values_list("pk", flat=True)[:CHUNK]):
            with writing():
                Tally.objects.filter(pk__in=ids).delete()
            return len(ids)
    return 0


def floor(at: datetime, span: Span) -> datetime:
    """Return when the minute, hour or day (of UTC) that this time is in begins."""
    return at - (at - EPOCH) % STEPS[span]


def _first(rows: QuerySet[Tally], since: datetime, until: datetime) -> datetime | None:
    found = rows.filter(at__gte=since, at__lt=until).order_by("at")
    return found.values_list("at", flat=True).first()


def _read(rows: QuerySet[Tally]) -> Iterable[tuple[str, datetime, Counts]]:
    found: Iterable[tuple[str, datetime, Any]] = rows.values_list("vendor", "at", "counts")
    return ((vendor, at, Counts.from_json(counts)) for vendor, at, counts in found)


def _folded(rows: QuerySet[Tally], at: datetime) -> dict[Cell, Counts]:
    cells: dict[Cell, Counts] = defaultdict(Counts)
    for vendor, _, counts in _read(rows):
        cells[vendor, at].merge(counts)
    return dict(cells)


def _with_all(folded: dict[Cell, Counts]) -> dict[Cell, Counts]:
    by_time: dict[datetime, list[Counts]] = defaultdict(list)
    for (_, at), counts in folded.items():
        by_time[at].append(counts)
    return folded | {(ALL, at): across_vendors(each) for at, each in by_time.items()}


def write(span: Span, folded: dict[Cell, Counts]) -> None:
    rows = [_row(span, vendor, at, counts) for (vendor, at), counts in folded.items()]
    if rows:
        with writing():
            bulk_writes.replace_each(rows)


def _row(span: Span, vendor: str, at: datetime, counts: Counts) -> Tally:
    found: dict[str, Any] = {"span": span, "at": at, "counts": counts.as_json()}
    return Tally(id=f"{vendor}|{span.value}|{at:%Y-%m-%dT%H:%M}", vendor=vendor, **found)
