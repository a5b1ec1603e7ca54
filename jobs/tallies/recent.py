"""The last two hours by minute and vendor, kept in memory: most pages ask for them."""

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from jobs.models import EPOCH, Span, Tally
from jobs.tallies import marks
from jobs.tallies.counts import Counts, across_vendors
from jobs.tallies.marks import ALL

MINUTE = timedelta(minutes=1)
KEPT = timedelta(minutes=125)
FINAL_AFTER = timedelta(minutes=4)  # no process writes a minute that began longer ago
MAX_AGE_SECONDS = 0.9
FORGET_SECONDS = 600.0  # `manage.py recount` may have changed even old minutes

Minute = dict[str, Counts]  # by vendor, and for marks.ALL


class Recent:
    """One for all threads of a process."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._lock = Lock()
        self._minutes: dict[datetime, Minute] = {}
        self._final_before = EPOCH
        self._read_at = self._begun_at = float("-inf")

    def minutes(self, now: datetime) -> dict[datetime, Minute]:
        """Return what happened in each of the last KEPT minutes, as it was at most a second ago. A
        minute in which nothing happened is missing. Not to be changed by the caller.
        """
        with self._lock:
            monotonic = time.monotonic()
            if monotonic - self._begun_at > FORGET_SECONDS:
                self._minutes, self._final_before, self._begun_at = {}, EPOCH, monotonic
            elif monotonic - self._read_at < MAX_AGE_SECONDS:
                return self._minutes
            since = max(self._final_before, begin(now))
            kept = {at: minute for at, minute in self._minutes.items() if begin(now) <= at < since}
            self._minutes = kept | _read(since)
            self._final_before, self._read_at = now - FINAL_AFTER, monotonic
            return self._minutes

    def refresh(self) -> None:
        """Read the last minutes again when they are asked for next."""
        self._read_at = float("-inf")


def begin(now: datetime) -> datetime:
    """Return the first minute that `Recent` has."""
    first = now - KEPT
    return first - (first - EPOCH) % MINUTE


def _read(since: datetime) -> dict[datetime, Minute]:
    mark = marks.read().minute
    found: dict[datetime, Minute] = defaultdict(dict)
    for vendor, at, counts in rows(Span.MINUTE, since, mark):
        found[at][vendor] = counts
    for vendor, at, counts in rows(Span.PART, max(since, mark), None):
        if vendor in found[at]:
            found[at][vendor].merge(counts)
        else:
            found[at][vendor] = counts
    for minute in found.values():
        if ALL not in minute:
            minute[ALL] = across_vendors(minute.values())
    return dict(found)


def rows(
    span: Span, since: datetime, until: datetime | None, **condition: str
) -> Iterable[tuple[str, datetime, Counts]]:
    """Yield vendor, beginning and counts of the rows that begin within a time."""
    if until and since >= until:
        return
    in_time = {"at__gte": since} | ({"at__lt": until} if until else {})
    # The named conditions first: an index begins with them.
    found: Iterable[tuple[str, datetime, Any]] = Tally.objects.filter(
        **condition, span=span, **in_time
    ).values_list("vendor", "at", "counts")
    for vendor, at, counts in found:
        yield vendor, at, Counts.from_json(counts)


recent = Recent()
