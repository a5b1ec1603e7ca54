"""Deletes jobs that ended long ago, with their tries and callbacks, in bounded batches.

The job goes first, by a condition that says once more that it is final and old: one that an
operator retries at this moment stays, with its whole history. Then go the tries and callbacks of
those jobs that are no longer there. Who dies in between (on MongoDB; on SQLite a batch is one
commit) leaves rows without a job, and these go at the end of the next run, with callbacks for jobs
that never were: whatever is old and has no job. So a run can be ended anywhere, and many can run at
once.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from jobs.api.pagination import first_id_at
from jobs.models import FINAL, Attempt, Callback, Job
from jobs.storage.store import writing
from vendors import limits
from vendors.models import Vendor

BATCH = 200
# Clocks disagree: a try is in the limits' memory by the clock of Redis, a job ended by that of
# another machine. Arrival margins, of 10 s at most, fit in as well.
GRACE = timedelta(minutes=1)

MAX_REST_SECONDS = 0.5

PARTS: dict[str, type[Attempt] | type[Callback]] = {"try": Attempt, "callback": Callback}


def remembering(vendors: Iterable[Vendor], age: timedelta) -> list[Vendor]:
    """Return those whose limits look back further than `age`: after a loss of Redis' data they are
    made from the tries.
    """
    return [
        each
        for each in vendors
        if any(window.seconds > age.total_seconds() for window in limits.parse(each.rate_limits))
    ]


@dataclass(frozen=True)
class Prune:
    """Final jobs that ended before a moment; of one vendor or one status only, where these are not
    empty.
    """

    ended_before: datetime
    vendor: str = ""
    status: str = ""

    def __len__(self) -> int:
        return sum(self._ended(status).count() for status in self._statuses())

    def jobs(self) -> Iterator[int]:
        """Delete the jobs, and say after each batch how many it was."""
        for status in self._statuses():
            ended = self._ended(status)
            for batch in _batches(ended.values_list("pk")):
                yield _delete([job_id for (job_id,) in batch], ended)

    def leftovers(self) -> Iterator[Counter[str]]:
        """Delete old tries and callbacks that have no job, and say after each batch how many; none
        of a chosen status.
        """
        for part, model in PARTS.items() if not self.status else ():
            old = model.objects.filter(pk__lt=first_id_at(self.ended_before))
            for batch in _batches(old.values_list("pk", "job", "vendor")):
                chosen = {pk: job for pk, job, vendor in batch if self.vendor in ("", vendor)}
                there = set(
                    Job.objects.filter(pk__in=set(chosen.values())).values_list("pk", flat=True)
                )
                left = [pk for pk, job in chosen.items() if job not in there]
                yield Counter({part: _delete_all(model.objects.filter(pk__in=left))})

    def _statuses(self) -> Sequence[str]:
        return [self.status] if self.status else FINAL

    def _ended(self, status: str) -> QuerySet[Job]:
        # A job ends after it was made, and its id says when that was: so the index by status and id
        # bounds the walk.
        rows = Job.objects.filter(
            status=status, pk__lt=first_id_at(self.ended_before), finished_at__lt=self.ended_before
        )
        return rows.filter(vendor=self.vendor) if self.vendor else rows


def _delete(job_ids: list[str], ended: QuerySet[Job]) -> int:
    """Delete those of the jobs that are still among the ended ones, with all that belongs to them;
    returns how many.
    """
    with writing():
        count = _delete_all(ended.filter(pk__in=job_ids))
        gone = set(job_ids) - set(Job.objects.filter(pk__in=job_ids).values_list("pk", flat=True))
        for model in PARTS.values():
            _delete_all(model.objects.filter(job__in=gone))
    return count


def _delete_all(rows: QuerySet[Any]) -> int:
    # One statement with the whole condition: nothing refers to these rows, so that Django need not
    # read them first.
    count, _ = rows.delete()
    return count


def _batches(rows: QuerySet[Any, Any]) -> Iterator[list[Any]]:
    """Give the rows in the order of their ids, which are the first of each; what is deleted
    meanwhile does not matter.
    """
    last = ""
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        since = time.monotonic()
        yield batch
        # As long as it took, for on SQLite one writes at a time, and who waits for his turn must
        # find it.
        time.sleep(min(time.monotonic() - since, MAX_REST_SECONDS))
        last = batch[-1][0]
