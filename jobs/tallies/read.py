"""Reads what was counted, wherever it is by now: in rows of processes, minutes, hours or days."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from threading import Lock

from jobs.models import EPOCH, Span
from jobs.queue.clock import redis_clock
from jobs.storage.store import STORE_ERRORS
from jobs.tallies import marks
from jobs.tallies.counts import Counts, across_vendors, summed
from jobs.tallies.fold import KEPT
from jobs.tallies.marks import ALL, Marks
from jobs.tallies.recent import FINAL_AFTER, begin, recent, rows

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FAR = datetime(9000, 1, 1, tzinfo=UTC)
MAX_POINTS = 5000  # that are kept in memory
FORGET_SECONDS = 3600.0
FOLDED_STEPS = 72  # of a series that are read at once
RESOLUTION = timedelta(microseconds=1)


@dataclass(frozen=True)
class Point:
    """What happened in one step of a series, which begins `at`."""

    at: datetime
    counts: Counts


def by_vendor(since: datetime, until: datetime) -> dict[str, Counts]:
    """Return what happened from `since` on and before `until`, to the minute, by vendor; '' for
    what belongs to none. Before yesterday, and before the last 90 days, whole hours and days.
    """
    now, found = redis_clock.now(), defaultdict[str, Counts](Counts)
    for vendor, _, counts in _of_vendors(_kept(floor(since, MINUTE), now), until, DAY, now):
        found[vendor].merge(counts)
    found.pop(ALL, None)
    return dict(found)


def series(
    since: datetime, until: datetime, step: timedelta, vendor: str | None = None
) -> list[Point]:
    """Return what happened in each step (a minute, five, an hour or a day of UTC), of one vendor or
    of all. The first step begins at or before `since`, and the last one may be under way.

    If the caller's patience ends, the oldest steps may be missing. The next call reads on.
    """
    now, of = redis_clock.now(), ALL if vendor is None else vendor
    steps = list(_steps(since, until, step))
    points = _points.of(of, step, steps)
    unread = [at for at in steps if at not in points]
    marked = marks.read().minute if unread else EPOCH
    while unread:
        some = _newest(unread, step, marked)
        try:
            read = _read_points(of, some, step, now)
        except STORE_ERRORS:
            if steps[-1] not in points:
                raise
            break
        points |= read
        final = [point for at, point in read.items() if at + step <= now - FINAL_AFTER]
        _points.keep(of, step, final)
        del unread[-len(some) :]
    return [points[at] for at in takewhile(points.__contains__, reversed(steps))][::-1]


def _newest(unread: list[datetime], step: timedelta, marked: datetime) -> list[datetime]:
    """Return as many of the last steps as to read at once: few of those that are not folded."""
    length = FOLDED_STEPS * step if unread[-1] < marked else max(HOUR, step)
    return [at for at in unread if at > unread[-1] - length]


def _read_points(
    of: str, steps: list[datetime], step: timedelta, now: datetime
) -> dict[datetime, Point]:
    by_step: dict[datetime, list[Counts]] = defaultdict(list)
    for at, counts in _of_vendor(of, steps[0], steps[-1] + step, step, now):
        by_step[floor(at, step)].append(counts)
    return {at: Point(at, summed(by_step[at])) for at in steps}


def totals() -> dict[str, Counts]:
    """Return everything that was ever counted, by vendor, without samples. None of the numbers
    ever falls.
    """
    before = marks.counted_before()
    found = before.by_vendor()
    for vendor, counts in by_vendor(before.at, FAR).items():
        found.setdefault(vendor, Counts()).merge(counts.without_samples())
    return found


class _Points:
    """Points of series that do not change any more. They are read again after an hour, because
    `manage.py recount` may have changed them.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._lock = Lock()
        self._points: dict[tuple[str, timedelta, datetime], Point] = {}
        self._begun_at = 0.0

    def of(self, vendor: str, step: timedelta, steps: Iterable[datetime]) -> dict[datetime, Point]:
        with self._lock:
            monotonic = time.monotonic()
            if len(self._points) > MAX_POINTS or monotonic - self._begun_at > FORGET_SECONDS:
                self._points, self._begun_at = {}, monotonic
            keys = [(vendor, step, at) for at in steps]
            return {key[2]: self._points[key] for key in keys if key in self._points}

    def keep(self, vendor: str, step: timedelta, points: Iterable[Point]) -> None:
        with self._lock:
            for point in points:
                self._points[vendor, step, point.at] = point


_points = _Points()


def _of_vendors(
    since: datetime, until: datetime, step: timedelta, now: datetime
) -> Iterator[tuple[str, datetime, Counts]]:
    """Yield what happened to each vendor, and sometimes to ALL, in pieces of at most a step."""
    split = _split(since, now)
    for span, first, end in _pieces(since, min(split, until), step, marks.read()):
        yield from rows(span, first, end)
    for at, minute in recent.minutes(now).items() if until > split else ():
        if split <= at < until:
            for vendor, counts in minute.items():
                yield vendor, at, counts


def _of_vendor(
    vendor: str, since: datetime, until: datetime, step: timedelta, now: datetime
) -> Iterator[tuple[datetime, Counts]]:
    """Yield what happened to a vendor, or to ALL, in pieces of at most a step."""
    split = _split(since, now)
    found: dict[datetime, dict[str, Counts]] = defaultdict(lambda: defaultdict(Counts))
    for span, first, end in _pieces(since, min(split, until), step, marks.read()):
        is_of_all = vendor == ALL and span == Span.PART  # those of all are made by the fold
        condition = {} if is_of_all else {"vendor": vendor}
        for slug, at, counts in rows(span, first, end, **condition):
            found[at][slug].merge(counts)
    for at, of_vendors in found.items():
        yield at, across_vendors(of_vendors.values())
    for at, minute in recent.minutes(now).items() if until > split else ():
        if split <= at < until and vendor in minute:
            yield at, minute[vendor]


def _split(since: datetime, now: datetime) -> datetime:
    """Return from when on to look into `recent`: from a whole hour on, so that hours before it can
    be read as such.
    """
    first = begin(now)
    return since if since >= first else floor(first + HOUR - RESOLUTION, HOUR)


def _pieces(
    since: datetime, until: datetime, longest: timedelta, found: Marks
) -> Iterator[tuple[Span, datetime, datetime]]:
    """Divide a time into pieces, and yield for each which rows tell of it: those of the longest
    span that fits, is folded, and is not longer than `longest`.
    """
    for span, step in ((Span.DAY, DAY), (Span.HOUR, HOUR)):
        first, end = (
            floor(since + step - RESOLUTION, step),
            min(floor(until, step), found.of(span)),
        )
        if step <= longest and first < end:
            yield from _pieces(since, first, step - RESOLUTION, found)
            yield span, first, end
            yield from _pieces(end, until, step - RESOLUTION, found)
            return
    if since < min(until, found.minute):
        yield Span.MINUTE, since, min(until, found.minute)
    if max(since, found.minute) < until:
        yield Span.PART, max(since, found.minute), until


def _kept(since: datetime, now: datetime) -> datetime:
    """Return the beginning of the hour or day, if of that time only those are kept."""
    for span, step in ((Span.HOUR, DAY), (Span.MINUTE, HOUR)):
        if since < now - KEPT[span]:
            return floor(since, step)
    return since


def floor(at: datetime, step: timedelta) -> datetime:
    """Return when the step that this time is in begins, in UTC."""
    return at - (at - EPOCH) % step


def _steps(since: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    at = floor(since, step)
    while at < until:
        yield at
        at += step


def forget() -> None:
    """Forget what was read, as tests do between each other."""
    recent.forget()
    _points.forget()
