"""The life of a batch: receiving → running → finished, and back to running when one of its jobs is
retried. The only module that changes a batch, through conditional updates.

A batch is finished when none of its jobs is open. No move of a job tells it: whoever looks, a
request or the sweep, finds out.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import F, Max, QuerySet

from jobs.models import OPEN, Batch, Job, RefusedItem, State
from jobs.queue import waiting
from jobs.storage import bulk_writes
from jobs.storage.store import writing

CHUNK = 500


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


def seal(batch_id: str, now: datetime) -> bool:
    """Take no more items. Returns False if the batch was sealed before."""
    return _seal(Batch.objects.filter(pk=batch_id), sealed_at=now)


def cut_short(batch_id: str, now: datetime, *, received_before: datetime) -> bool:
    """Seal a batch to which no items have come since. Returns False if that is not so."""
    abandoned = Batch.objects.filter(pk=batch_id, received_at__lte=received_before)
    return _seal(abandoned, sealed_at=now, cut_short=True)


def _seal(batch: "QuerySet[Batch]", **changes: Any) -> bool:
    with writing():
        return bool(batch.filter(state=State.RECEIVING).update(state=State.RUNNING, **changes))


def finish(batch: Batch) -> bool:
    """Finish a running batch, unless one of its jobs is open or is about to be. Its columns
    `revision` and `sealed_at` must have been read before. Wakes those who wait for it.
    """
    jobs = Job.of_batch(batch.pk)
    if jobs.filter(status__in=OPEN).exists():
        return False
    _drop_overruled(batch.pk)
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


def _drop_overruled(batch_id: str) -> None:
    """Delete refusals of items that are jobs, which an upload that died has left behind."""
    last = ""
    while refused := list(
        RefusedItem.of_batch(batch_id).filter(pk__gt=last).order_by("pk")[:CHUNK]
    ):
        drop_overruled(batch_id, refused)
        last = refused[-1].pk


def drop_overruled(batch_id: str, refused: Sequence[RefusedItem]) -> bool:
    """Delete those of the refusals whose items are jobs. Returns whether there were any.

    It happens when a vendor is disabled or enabled between two uploads of the same item. Both call
    this after they have written, so whoever was last finds the other's row. The job stays: a worker
    may have it already.
    """
    if not refused:
        return False
    jobs = Job.of_batch(batch_id).filter(batch_index__in=[each.batch_index for each in refused])
    indexes = set(jobs.values_list("batch_index", flat=True))
    overruled = [each.pk for each in refused if each.batch_index in indexes]
    if overruled:
        with writing():
            RefusedItem.objects.filter(pk__in=overruled).delete()
    return bool(overruled)


def reopen(*batch_ids: str) -> None:
    """Have these batches run again. Call it before and after a job of theirs is queued again: what
    was counted in between must not finish them.

    A batch that is being cancelled stays so until it is finished.
    """
    batches = Batch.objects.filter(pk__in=batch_ids)
    batches.exclude(state=State.FINISHED).update(revision=F("revision") + 1)
    batches.filter(state=State.FINISHED).update(cancel_requested_at=None, **_running_again())


def take_in(batch_id: str) -> None:
    """Have a batch run again that was sealed, and perhaps finished, while items were added to it.
    A cancellation that was requested applies to them too.
    """
    unfinished = Batch.objects.filter(pk=batch_id).exclude(state=State.FINISHED)
    with writing():
        unfinished.update(revision=F("revision") + 1)
        resume(batch_id)


def resume(batch_id: str) -> bool:
    """Have a finished batch run again because it has open jobs, and cancel these if that was
    requested. Returns False if it is not finished.

    On MongoDB, where a commit is one write, a batch can be sealed and finished while items of it
    are being added, and a process can die between a retry and the `reopen` after it.
    """
    finished = Batch.objects.filter(pk=batch_id, state=State.FINISHED)
    with writing():
        return bool(finished.update(**_running_again()))


def _running_again() -> dict[str, Any]:
    return {"state": State.RUNNING, "finished_at": None, "revision": F("revision") + 1}


def finish_cancelled(*batch_ids: str) -> None:
    """Finish those of the batches whose cancellation is done but not noticed yet, so that it does
    not apply to jobs that are retried now.
    """
    running = Batch.objects.filter(pk__in=batch_ids, state=State.RUNNING)
    for batch in running.exclude(cancel_requested_at=None):
        finish(batch)


def request_cancel(batch_id: str, now: datetime) -> bool:
    """Ask for all jobs of an unfinished batch to be cancelled. It takes no more items. Returns
    False if it is finished.
    """
    running = Batch.objects.filter(pk=batch_id, state=State.RUNNING)
    with writing():
        seal(batch_id, now)
        return bool(running.update(cancel_requested_at=now, retry_requested_at=None))


def request_retry(batch_id: str, now: datetime) -> bool:
    """Ask for all jobs of the batch that have failed by now to be retried. Returns False if it is
    still receiving items.
    """
    sealed = Batch.objects.filter(pk=batch_id, state__in=(State.RUNNING, State.FINISHED))
    requested = {"cancel_requested_at": None, "retry_requested_at": now}
    with writing():
        return bool(sealed.update(**requested, **_running_again()))


def retry_is_done(batch_id: str, requested_at: datetime) -> None:
    """Note that the requested retry has been carried out."""
    requested = Batch.objects.filter(pk=batch_id, retry_requested_at=requested_at)
    with writing():
        requested.update(retry_requested_at=None)
