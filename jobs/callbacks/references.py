"""Callbacks to the URL of a vendor's whole account: which job each is for.

Such a callback names the vendor's own reference for its piece of work. It may come before the
answer that tells us this reference. So it is stored before it is looked up, and the worker looks
for stored ones after it has recorded a reference: whoever comes second finds the other.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from jobs.models import OPEN, Attempt, Callback, Job, Status
from jobs.storage.store import writing

# For the references that are looked up together. A vendor that uses one for so many jobs has named
# a wrong field.
MAX_ROWS = 2000


class Found(NamedTuple):
    """The attempt of a job in whose answer the vendor named a reference."""

    job_id: str
    run: int
    attempt: int


def match(callback: Callback) -> bool:
    """Find out which attempt a stored callback answers, and note it on its row. Returns False if
    no answer has named its reference yet.
    """
    found = find(callback.vendor, callback.vendor_reference)
    if found is None:
        return False
    unmatched = Callback.objects.filter(pk=callback.pk, job="")
    # Without a verdict, the sweep applies it if this process ends before it does.
    changes = {"run": found.run, "attempt": found.attempt, "verdict": ""}
    with writing():
        is_first = unmatched.update(job=found.job_id, **changes)
    if not is_first and (row := Callback.objects.filter(pk=callback.pk).first()):
        found, callback.verdict = Found(row.job, row.run or 0, row.attempt or 0), row.verdict
    else:
        callback.verdict = ""
    callback.job, callback.run, callback.attempt = found
    return True


def find(slug: str, reference: str) -> Found | None:
    """Return the attempt for which the vendor has named this reference: that of the newest open
    job if there are several jobs.
    """
    return find_each(slug, [reference]).get(reference) if reference else None


def find_each(slug: str, references: Iterable[str]) -> dict[str, Found]:
    """Do the same for several references, none of them empty."""
    # The second condition is that of the partial indexes.
    named: dict[str, Any] = {"vendor": slug, "vendor_reference__gt": ""}
    names = set(references)
    found = {
        row.vendor_reference: Found(row.pk, row.run, row.attempt)
        for row in _oldest_first(Job.objects.filter(vendor_reference__in=names, **named))
        if row.status == Status.WAITING  # else it may be in a later attempt
    }
    if left := names - found.keys():
        found |= _of_attempts(Attempt.objects.filter(vendor_reference__in=left, **named))
    return found


def _of_attempts(rows: Any) -> dict[str, Found]:
    attempts = list(rows.only("job", "run", "number", "vendor_reference")[:MAX_ROWS])
    jobs = Job.objects.filter(pk__in={attempt.job for attempt in attempts}, status__in=OPEN)
    are_open = set(jobs.values_list("pk", flat=True))
    # The last one stays: that of an open job, then the newest.
    attempts.sort(key=lambda attempt: (attempt.job in are_open, attempt.job, attempt.number))
    return {
        attempt.vendor_reference: Found(attempt.job, attempt.run, attempt.number)
        for attempt in attempts
    }


def _oldest_first(jobs: Any) -> list[Job]:
    # Sorted here: for an order by id, a store might read all jobs of the vendor.
    rows = jobs.only("run", "attempt", "status", "vendor_reference")[:MAX_ROWS]
    return sorted(rows, key=lambda job: str(job.pk))
