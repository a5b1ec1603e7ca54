"""The life of a batch: receiving → running → finished, and back to running when one of its jobs is
retried. The only module that changes a batch, through conditional updates.

A batch is finished when none of its jobs is open. No move of a job tells it: whoever looks, a
request or the sweep, finds out.
"""

from datetime import datetime

from django.db.models import F, Max

from jobs.models import OPEN, Batch, Job, State
from jobs.queue import waiting
from jobs.storage import bulk_writes
from jobs.storage.store import writing


def create(batch: Batch) -> bool:
    """Store a new batch. Returns False if its client has one with the same idempotency key."""
    with writing():
        return bulk_writes.insert_each([batch])[0]


def receive(batch_id: str, now: datetime) -> bool:
    """Note that items come now. Returns False if the batch takes no more.

    On SQLite, call it in the commit that adds the items.
    """
    receiving = Batch.objects.filter(pk=batch_id, state=State.RECEIVING)
    return bool(receiving.update(received_at=now))


def seal(batch_id: str, now: datetime, *, cut_short: bool = False) -> bool:
    """Take no more items. Returns False if the batch was sealed before."""
    receiving = Batch.objects.filter(pk=batch_id, state=State.RECEIVING)
    changes = {"state": State.RUNNING, "sealed_at": now, "cut_short": cut_short}
    with writing():
        return bool(receiving.update(**changes))


def finish(batch: Batch) -> bool:
    """Finish a running batch, unless one of its jobs is open or is about to be. Its columns
    `revision` and `sealed_at` must have been read before. Wakes those who wait for it.
    """
    jobs = Job.of_batch(batch.pk)
    if jobs.filter(status__in=OPEN).exists():
        return False
    last = jobs.aggregate(last=Max("finished_at"))["last"]
    finished_at = max(filter(None, (last, batch.sealed_at)), default=None)
    # Reopened since its jobs were counted, it has another revision.
    running = Batch.objects.filter(
        pk=batch.pk, state=State.RUNNING, revision=batch.revision, retry_requested_at=None
    )
    with writing():
        happened = bool(running.update(state=State.FINISHED, finished_at=finished_at))
    if happened:
        waiting.announce(batch.pk)
    return happened


def reopen(*batch_ids: str) -> None:
    """Have these batches run again. Call it before and after a job of theirs is queued again: what
    was counted in between must not finish them.
    """
    batches = Batch.objects.filter(pk__in=batch_ids)
    changes = {"revision": F("revision") + 1, "cancel_requested_at": None}
    batches.exclude(state=State.FINISHED).update(**changes)
    finished = batches.filter(state=State.FINISHED)
    finished.update(state=State.RUNNING, finished_at=None, **changes)


def request_cancel(batch_id: str, now: datetime) -> None:
    """Ask for all jobs of an unfinished batch to be cancelled. It takes no more items."""
    seal(batch_id, now)
    running = Batch.objects.filter(pk=batch_id, state=State.RUNNING)
    with writing():
        running.update(cancel_requested_at=now, retry_requested_at=None)


def request_retry(batch_id: str, now: datetime) -> None:
    """Ask for all jobs of the batch that have failed by now to be retried."""
    with writing():
        reopen(batch_id)
        Batch.objects.filter(pk=batch_id).update(retry_requested_at=now)


def retry_is_done(batch_id: str, requested_at: datetime) -> None:
    """Note that the requested retry has been carried out."""
    requested = Batch.objects.filter(pk=batch_id, retry_requested_at=requested_at)
    with writing():
        requested.update(retry_requested_at=None)
