"""How many callbacks are kept: of each run of a job, and of each vendor for jobs that are not
there.

A callback is stored, and applied, before anyone counts: so the first of a job costs no count, and
one that ends its job is taken however many came before. Whoever finds too many, its own among them,
deletes its own. No more can be left then, in however many processes they came in: the last that
stays was stored when all others that stay were there, and counted them.
"""

import logging
import time
from collections import Counter
from threading import Lock
from typing import Any

from django.db.models import QuerySet

from jobs.callbacks import refusals
from jobs.models import OPEN, Callback, Job, Verdict
from jobs.storage.store import writing

log = logging.getLogger(__name__)

MAX_PER_RUN = 20
MAX_BYTES_PER_RUN = 5 * 1024 * 1024
MAX_UNMATCHED = 1000  # of a vendor
MAX_UNMATCHED_BYTES = 50 * 1024 * 1024
# What counts: not the one that ended the run, nor the row that refusals are counted on.
COUNTED = ("", Verdict.LATE, Verdict.UNREADABLE, Verdict.UNMATCHED)

Place = tuple[str, ...]  # a vendor, or a vendor, a job and its run


class Full:
    """Places that were found full within the last minute, so that a flood need not be stored to be
    deleted again.
    """

    SECONDS = 60.0
    MAX_PLACES = 1000

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[Place, float] = {}
        self._said: dict[str, float] = {}
        self._dropped: Counter[str] = Counter()

    def add(self, place: Place) -> None:
        with self._lock:
            if len(self._found) >= self.MAX_PLACES:
                self._found.clear()
            self._found[place] = time.monotonic()

    def __contains__(self, place: Place) -> bool:
        found = self._found.get(place)
        return found is not None and time.monotonic() - found < self.SECONDS

    def say(self, vendor: str) -> None:
        """Count a callback that was not kept; one line a minute tells how many there were of a
        vendor.
        """
        with self._lock:
            self._dropped[vendor] += 1
            if time.monotonic() - self._said.get(vendor, float("-inf")) < self.SECONDS:
                return
            self._said[vendor] = time.monotonic()
            count = self._dropped.pop(vendor)
        log.warning(
            "Callbacks of vendor %s were not kept: %d more than a job or a vendor may have",
            vendor,
            count,
        )


full = Full()


def verdict_without_room(callback: Callback) -> Verdict | None:
    """Return the verdict of a callback that can change nothing, where there is known to be no room
    for it; else None.
    """
    of_run, of_vendor = _places(callback)
    if of_run not in full and of_vendor not in full:
        return None
    job = Job.objects.filter(pk=callback.job, vendor=callback.vendor).only("run", "status").first()
    if job is None:
        return Verdict.UNMATCHED
    is_open = job.run == callback.run and job.status in OPEN
    return Verdict.LATE if of_run in full and not is_open else None


def keep(callback: Callback, verdict: Verdict | None) -> bool:
    """Keep a callback that was just stored and did not end its job, if there is room for it; else
    delete it.
    """
    if not _is_one_too_many(callback, verdict):
        return True
    # One that came again meanwhile was perhaps acknowledged to whoever repeated it.
    mine = Callback.objects.filter(pk=callback.pk, times_received=1, verdict__in=COUNTED)
    with writing():
        return mine.delete()[0] == 0


def count_dropped(callback: Callback, verdict: Verdict | None) -> None:
    """Nothing is left of a callback for which there was no room, but that it is counted."""
    full.say(callback.vendor)
    if verdict != Verdict.UNMATCHED:
        refusals.note(
            callback.vendor,
            callback.job,
            "too_many_callbacks",
            body_bytes=callback.body_bytes,
            now=callback.received_at,
            run=callback.run,
        )


def is_awaited(callback: Callback) -> bool:
    """Whether its job is open, in the run that it is about."""
    runs = Job.objects.filter(pk=callback.job, vendor=callback.vendor, status__in=OPEN).values_list(
        "run", flat=True
    )
    return runs.first() == callback.run


def _places(callback: Callback) -> tuple[Place, Place]:
    return (callback.vendor, callback.job, str(callback.run)), (callback.vendor,)


def _is_one_too_many(callback: Callback, verdict: Verdict | None) -> bool:
    of_run, of_vendor = _places(callback)
    rows = Callback.objects.filter(job=callback.job, run=callback.run, verdict__in=COUNTED)
    if callback.run is not None and _exceed(rows, MAX_PER_RUN, MAX_BYTES_PER_RUN):
        full.add(of_run)
        return True
    rows = Callback.objects.filter(verdict=Verdict.UNMATCHED, vendor=callback.vendor)
    if verdict == Verdict.UNMATCHED and _exceed(rows, MAX_UNMATCHED, MAX_UNMATCHED_BYTES):
        full.add(of_vendor)
        return True
    return False


def _exceed(rows: QuerySet[Callback, Any], max_rows: int, max_bytes: int) -> bool:
    # In the order of an index, and no further than one too many.
    sizes = list(rows.order_by("received_at").values_list("body_bytes", flat=True)[: max_rows + 1])
    return len(sizes) > max_rows or sum(sizes) > max_bytes
