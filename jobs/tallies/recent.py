"""The last 75 minutes by minute and vendor, kept in memory: most pages ask for them.

They are read in pieces, the newest first, and each piece is kept: a reader who has no time for all
of them leaves less to the next one. The last minutes, which still change, are read again each
second; the older ones in turn, since `manage.py recount` may have changed them.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from django.db import OperationalError

from jobs.models import EPOCH, Span, Tally
from jobs.storage.store import MIN_TIMEOUT_SECONDS, patience, seconds_left
from jobs.tallies import marks
from jobs.tallies.counts import Counts, across_vendors
from jobs.tallies.marks import ALL

MINUTE = timedelta(minutes=1)
KEPT = timedelta(minutes=75)  # an hour that ended before has been folded
PIECE = timedelta(minutes=5)  # twice as long as the one before, if that was read quickly
QUICK_SECONDS = 0.05
MAX_GAP = timedelta(minutes=20)  # after a longer one in which nobody asked, it begins anew
FINAL_AFTER = timedelta(minutes=4)  # no process writes a minute that began longer ago
READ_SECONDS = 1.5  # at most, in which the other threads wait
MAX_AGE_SECONDS = 0.9
UNFINAL_SECONDS = 10.0  # how old minutes before the last one may be, unless they are final
AGAIN_SECONDS = 40.0  # from one older piece that is read again to the next
MAX_LOAD = 0.1  # of a CPU, for the last minutes of many vendors
ROWS = 500  # that are read at once

Minute = dict[str, Counts]  # by vendor, and for marks.ALL
Minutes = dict[datetime, Minute]


class Recent:
    """One for all threads of a process."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._lock = Lock()
        self._begin_anew()
        self._again_at = float("-inf")
        self._not_before = self._fresh_until = float("-inf")

    def _begin_anew(self) -> None:
        self._minutes: Minutes = {}
        self._since: datetime | None = None  # from here on, all minutes are known
        self._again: datetime | None = None  # before here, minutes are read again next
        self._final_before = EPOCH
        self._unfinal_at = float("-inf")

    def minutes(self, now: datetime) -> Minutes:
        """Return what happened in each of the last KEPT minutes, as it was about a second ago. A
        minute in which nothing happened is missing. Not to be changed by the caller.

        Raises OperationalError if that takes longer than READ_SECONDS or the caller's patience.
        """
        with patience(READ_SECONDS), self._turn():
            if time.monotonic() > self._fresh_until:
                self._read_newest(now)
            self._read_older(begin(now))
            return self._minutes

    def refresh(self) -> None:
        """Read the last minutes again when they are asked for next."""
        self._fresh_until = self._not_before

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=seconds_left()):
            raise OperationalError("another thread reads the history")
        try:
            yield
        finally:
            self._lock.release()

    def _read_newest(self, now: datetime) -> None:
        monotonic, cpu = time.monotonic(), time.thread_time()
        if not self._final_before <= now <= self._final_before + MAX_GAP:
            self._begin_anew()
        final_before = floor(now - FINAL_AFTER)
        since = floor(now) - MINUTE
        if self._since is None:
            since = final_before
        elif monotonic - self._unfinal_at > UNFINAL_SECONDS:
            since = min(self._final_before, final_before)
        self._keep(_read(since, None), since, None, begin(now))
        self._since = max(min(self._since or since, since), begin(now))
        if since <= final_before:
            self._final_before, self._unfinal_at = final_before, monotonic
        self._not_before = monotonic + _rest(time.thread_time() - cpu)
        self._fresh_until = max(monotonic + MAX_AGE_SECONDS, self._not_before)

    def _read_older(self, first: datetime) -> None:
        """Read what is not known yet, and now and then a piece of what is."""
        length = PIECE
        while self._since is None or self._since > first:
            began_at = time.monotonic()
            self._since = self._read_piece(self._since or first, length, first)
            self._again_at = time.monotonic()
            if self._again_at - began_at < QUICK_SECONDS:
                length *= 2
        if time.monotonic() - self._again_at > AGAIN_SECONDS:
            until = self._again if self._again and self._again > first else self._final_before
            self._again = self._read_piece(until, PIECE, first)
            self._again_at = time.monotonic()

    def _read_piece(self, until: datetime, length: timedelta, first: datetime) -> datetime:
        """Returns where the piece begins."""
        since = max(first, until - length)
        self._keep(_read(since, until), since, until, first)
        return since

    def _keep(
        self, found: Minutes, since: datetime, until: datetime | None, oldest: datetime
    ) -> None:
        """Replace the minutes of a time. Other threads may look at those that are known so far."""
        others = {
            at: minute
            for at, minute in self._minutes.items()
            if oldest <= at < since or (until and until <= at)
        }
        self._minutes = others | found


def begin(now: datetime) -> datetime:
    """Return the first minute that `Recent` has."""
    return floor(now - KEPT)


def floor(at: datetime) -> datetime:
    return at - (at - EPOCH) % MINUTE


def _rest(cpu_seconds: float) -> float:
    """Return how long not to read again after a read that took this long."""
    return cpu_seconds / MAX_LOAD if cpu_seconds > QUICK_SECONDS else 0.0


def _read(since: datetime, until: datetime | None) -> Minutes:
    marked = marks.read().minute
    found: Minutes = defaultdict(dict)
    for vendor, at, counts in rows(Span.MINUTE, since, min(until or marked, marked)):
        found[at][vendor] = counts
    for vendor, at, counts in rows(Span.PART, max(since, marked), until):
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
    """Yield vendor, beginning and counts of the rows that begin within a time. Raises
    OperationalError when the caller's patience ends.
    """
    if until and since >= until:
        return
    in_time = {"at__gte": since} | ({"at__lt": until} if until else {})
    # The named conditions first: an index begins with them.
    tallies = Tally.objects.filter(**condition, span=span, **in_time)
    found: Iterable[tuple[str, datetime, Any]] = tallies.values_list("vendor", "at", "counts")
    for number, (vendor, at, counts) in enumerate(found.iterator(ROWS), 1):  # type: ignore[attr-defined]
        yield vendor, at, Counts.from_json(counts)
        if number % ROWS == 0 and seconds_left() <= MIN_TIMEOUT_SECONDS:
            raise OperationalError("the history takes too long to read")


recent = Recent()
