"""Deletes old final jobs with their attempts and callbacks, and then old finished batches of which
no job is left, in bounded chunks.

A chunk deletes the jobs first, on the condition that they are still final and old: a job that an
operator retries at that moment keeps its row and its history. Then it deletes the attempts and
callbacks of those jobs that are gone. A crash in between (on MongoDB; on SQLite a chunk is one
commit) leaves rows without a job. The next run deletes these at its end, like callbacks for jobs
that never existed. The refused items of deleted batches are deleted in the same way. So a prune can
be stopped at any point, and several can run at once.

Attempts that a window or a quota still counts are kept, but no longer say for which job they were.
Later runs find them among the rows without a job.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from jobs.api.pagination import first_id_at
from jobs.models import FINAL, Attempt, Batch, Callback, Job, RefusedItem, State
from jobs.storage.store import writing
from jobs.transfer.counted import CountedCalls

CHUNK = 200
MAX_REST_SECONDS = 0.5

HISTORY: dict[str, type[Attempt] | type[Callback]] = {"attempt": Attempt, "callback": Callback}
# What a kept attempt no longer has. The vendor's reference would lead a callback to it.
FORGOTTEN: dict[str, Any] = {"job": "", "vendor_reference": "", "message": "", "reply": None}


@dataclass(frozen=True)
class Prune:
    """Final jobs that ended before a moment, optionally of one vendor or one status only."""

    ended_before: datetime
    vendor: str = ""
    status: str = ""

    def __len__(self) -> int:
        return sum(self._ended(status).count() for status in self._statuses())

    def jobs(self) -> Iterator[Counter[str]]:
        """Delete the jobs; after each chunk, yield the numbers of jobs, and of their attempts that
        were kept.
        """
        for status in self._statuses():
            ended = self._ended(status)
            for chunk in _chunks(ended.values_list("pk")):
                yield self._delete([job_id for (job_id,) in chunk], ended)

    def count_kept(self) -> int:
        """Return how many attempts of the jobs would be kept."""
        if not self._counted:
            return 0
        chunks = (_chunks(self._ended(status).values_list("pk")) for status in self._statuses())
        jobs = ([job_id for (job_id,) in chunk] for chunk in chain.from_iterable(chunks))
        return sum(len(self._counted.among(Attempt.objects.filter(job__in=ids))) for ids in jobs)

    def batches(self) -> Iterator[int]:
        """Delete the finished batches of which no job is left; after each chunk, yield its number
        of batches. Their refused items remain, as orphans.

        Does nothing if a vendor or a status was chosen, since a batch has neither.
        """
        if self.vendor or self.status:
            return
        # A batch finishes after the time in its id, as jobs do.
        finished = Batch.objects.filter(
            state=State.FINISHED,
            pk__lt=first_id_at(self.ended_before),
            finished_at__lt=self.ended_before,
        )
        for chunk in _chunks(finished.values_list("pk")):
            empty = [batch_id for (batch_id,) in chunk if not Job.of_batch(batch_id).exists()]
            yield _delete_all(finished.filter(pk__in=empty))

    def orphans(self) -> Iterator[Counter[str]]:
        """Delete old attempts and callbacks without a job, unless they still count, and refused
        items without a batch; after each chunk, yield their numbers.

        Does nothing if a status was chosen, since an orphan has none.
        """
        for kind, model in HISTORY.items() if not self.status else ():
            old = model.objects.filter(pk__lt=first_id_at(self.ended_before))
            for chunk in _chunks(old.values_list("pk", "job", "vendor")):
                jobs = {pk: job for pk, job, vendor in chunk if self.vendor in ("", vendor)}
                stored = _stored(jobs.values())
                orphans = {pk for pk, job in jobs.items() if job not in stored}
                if model is Attempt:
                    orphans -= self._kept(Attempt.objects.filter(pk__in=orphans))
                yield Counter({kind: _delete_all(model.objects.filter(pk__in=orphans))})
        if not self.vendor and not self.status:
            yield from self._refused_items()

    def _refused_items(self) -> Iterator[Counter[str]]:
        old = RefusedItem.objects.filter(pk__lt=first_id_at(self.ended_before))
        for chunk in _chunks(old.values_list("pk", "batch")):
            stored = Batch.objects.filter(pk__in={batch_id for _, batch_id in chunk})
            batch_ids = set(stored.values_list("pk", flat=True))
            orphans = [pk for pk, batch_id in chunk if batch_id not in batch_ids]
            count = _delete_all(RefusedItem.objects.filter(pk__in=orphans))
            yield Counter({"refused item": count})

    def _statuses(self) -> Sequence[str]:
        return [self.status] if self.status else FINAL

    def _ended(self, status: str) -> QuerySet[Job]:
        # A job ends after the time in its id, so the index on status and id bounds the scan.
        rows = Job.objects.filter(
            status=status, pk__lt=first_id_at(self.ended_before), finished_at__lt=self.ended_before
        )
        return rows.filter(vendor=self.vendor) if self.vendor else rows

    def _delete(self, job_ids: list[str], ended: QuerySet[Job]) -> Counter[str]:
        """Delete those of the jobs that are still among `ended`, with their history."""
        with writing():
            count = _delete_all(ended.filter(pk__in=job_ids))
            gone = set(job_ids) - _stored(job_ids)
            kept = self._kept(Attempt.objects.filter(job__in=gone))
            for model in HISTORY.values():
                _delete_all(model.objects.filter(job__in=gone))
        return Counter({"job": count, "kept": len(kept)})

    def _kept(self, attempts: QuerySet[Attempt]) -> set[str]:
        """Return the ids of the attempts that still count, after they have forgotten their jobs."""
        ids = self._counted.among(attempts)
        for start in range(0, len(ids), CHUNK):
            counted = Attempt.objects.filter(pk__in=ids[start : start + CHUNK])
            counted.exclude(**FORGOTTEN).update(**FORGOTTEN)
        return set(ids)

    @cached_property
    def _counted(self) -> CountedCalls:
        return CountedCalls.before(self.ended_before, timezone.now())


def _delete_all(rows: QuerySet[Any]) -> int:
    # One statement with the whole condition: no table refers to these rows, so Django does not read
    # them first.
    count, _ = rows.delete()
    return count


def _stored(job_ids: Iterable[str]) -> set[str]:
    return set(Job.objects.filter(pk__in=set(job_ids)).values_list("pk", flat=True))


def _chunks(rows: QuerySet[Any, Any]) -> Iterator[list[Any]]:
    """Yield the rows in order of their id, which is the first column."""
    last = ""
    while chunk := list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        since = time.monotonic()
        yield chunk
        # Rest as long as the chunk took, so that others can write: SQLite has one writer at a time.
        time.sleep(min(time.monotonic() - since, MAX_REST_SECONDS))
        last = chunk[-1][0]
