"""How many callbacks are kept: per run of a job, and per vendor for jobs that do not exist.

A callback is stored and applied before anything is counted. So the first one of a job costs no
count, and one that ends its job is accepted however many came before it. A process that
counts too many deletes its own. That bounds what is left across any number of processes: the last
callback that stays was stored when all the others that stay were there, and counted them.
"""

import logging
import time
from collections import Counter
from threading import Lock
from typing import Any

from django.db.models import QuerySet

from jobs.callbacks import references, refusals
from jobs.models import OPEN, Callback, Job, Verdict
from jobs.storage.store import writing

log = logging.getLogger(__name__)

MAX_PER_RUN = 20
MAX_BYTES_PER_RUN = 5 * 1024 * 1024
MAX_UNMATCHED = 1000  # per vendor
MAX_UNMATCHED_BYTES = 50 * 1024 * 1024
# Not counted: the callback that ended the run, and the row that counts refusals.
COUNTED = ("", Verdict.LATE, Verdict.UNREADABLE, Verdict.UNMATCHED, Verdict.POLLED)

Place = tuple[str, ...]  # a vendor; or a vendor, a job and its run


class Full:
    """Places found full within the last minute, so that a flood is not stored and deleted."""

    TTL_SECONDS = 60.0
    LOG_INTERVAL_SECONDS = 60.0
    MAX_PLACES = 1000

    def __init__(self) -> None:
        self._lock = Lock()
        self._found_at: dict[Place, float] = {}
        self._logged_at: dict[str, float] = {}
        self._dropped: Counter[str] = Counter()

    def add(self, place: Place) -> None:
        with self._lock:
            if len(self._found_at) >= self.MAX_PLACES:
                self._found_at.clear()
            self._found_at[place] = time.monotonic()

    def __contains__(self, place: Place) -> bool:
        found_at = self._found_at.get(place)
        return found_at is not None and time.monotonic() - found_at < self.TTL_SECONDS

    def count(self, slug: str) -> None:
        """Count a callback that was not kept; log the vendor's count at most once a minute."""
        with self._lock:
            self._dropped[slug] += 1
            last = self._logged_at.get(slug, float("-inf"))
            if time.monotonic() - last < self.LOG_INTERVAL_SECONDS:
                return
            self._logged_at[slug] = time.monotonic()
            count = self._dropped.pop(slug)
        log.warning("%d callbacks from vendor %s were not kept: a cap was reached", count, slug)


full = Full()


def verdict_without_room(callback: Callback) -> Verdict | None:
    """Return the verdict of a callback that can have no effect, if there is known to be no room to
    keep it; else None.
    """
    of_run, of_vendor = _places(callback)
    if of_run not in full and of_vendor not in full:
        return None
    if not callback.job:
        is_known = references.find(callback.vendor, callback.vendor_reference)
        return None if is_known else Verdict.UNMATCHED
    job = Job.objects.filter(pk=callback.job, vendor=callback.vendor).only("run", "status").first()
    if job is None:
        return Verdict.UNMATCHED
    is_open = job.run == callback.run and job.status in OPEN
    return Verdict.LATE if of_run in full and not is_open else None


def keep(callback: Callback, verdict: Verdict | None) -> bool:
    """Delete a callback that was just stored and did not end its job, if it is one too many; return
    whether it was kept.
    """
    if not _is_one_too_many(callback, verdict):
        return True
    # If it was sent again meanwhile, the repeat may have been acknowledged.
    mine = Callback.objects.filter(pk=callback.pk, times_received=1, verdict__in=COUNTED)
    with writing():
        return mine.delete()[0] == 0


def count_dropped(callback: Callback, verdict: Verdict | None) -> None:
    """Count a callback that was not kept; nothing else of it remains."""
    full.count(callback.vendor)
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
    """Whether its job is open in the callback's run."""
    jobs = Job.objects.filter(pk=callback.job, vendor=callback.vendor, status__in=OPEN)
    return jobs.values_list("run", flat=True).first() == callback.run


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
    # In the order of an index, and at most one row too many.
    sizes = list(rows.order_by("received_at").values_list("body_bytes", flat=True)[: max_rows + 1])
    return len(sizes) > max_rows or sum(sizes) > max_bytes
