"""What clients and operators may do: cancel or retry a job, or the jobs of a batch."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from jobs import batches, lifecycle
from jobs.lifecycle import Move
from jobs.models import Batch, Job, Status, Stream
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.storage.store import writing
from vendors.catalogue import catalogue

Note = Callable[[Sequence[Job]], None]  # writes the audit trail's entries for these jobs
CHUNK = 500
MAX_CLOCK_ERROR = timedelta(seconds=5)


def cancel(job: Job, now: datetime) -> bool:
    """Cancel a job that is queued or waiting. Returns False if it is in another status by now."""
    return cancel_each([job], now)[0]


def cancel_each(
    jobs: Sequence[Job], now: datetime, *, bulk: str = "", note: Note | None = None
) -> list[bool]:
    """Do the same to several jobs, in one commit. `bulk`: the bulk action that does it."""
    with writing():
        happened = _apply(jobs, [lifecycle.cancel(job, now, bulk=bulk) for job in jobs], note)
    for vendor, job_ids in _by_vendor(jobs, happened).items():
        stream.settle_final(vendor, job_ids)
    return happened


def retry(
    job: Job, now: datetime, *, edited: Mapping[str, Any] | None = None, note: Note | None = None
) -> bool:
    """Queue a failed or cancelled job for a new run. Returns False if it is in another status.
    `edited`: what a person changed of its name and input.
    """
    return _retry([job], [lifecycle.retry(job, now, edited=edited)], note=note)[0]


def retry_each(
    jobs: Sequence[Job], now: datetime, *, bulk: str = "", note: Note | None = None
) -> list[bool]:
    """Do the same to several jobs, in one commit. `bulk`: the bulk action that does it; its jobs
    queue behind what waits.
    """
    return _retry(jobs, [lifecycle.retry(job, now, bulk=bulk) for job in jobs], bulk, note)


def _retry(
    jobs: Sequence[Job], moves: Sequence[Move], bulk: str = "", note: Note | None = None
) -> list[bool]:
    with writing():
        batch_ids = {job.batch for job in jobs if job.batch}
        batches.finish_cancelled(*batch_ids)
        batches.reopen(*batch_ids)
        happened = _apply(jobs, moves, note)
        batches.reopen(*batch_ids)
    for vendor, job_ids in _by_vendor(jobs, happened).items():
        stream.offer(vendor, job_ids, Stream.JOBS if bulk else Stream.RETRIES)
    return happened


def _apply(jobs: Sequence[Job], moves: Sequence[Move], note: Note | None) -> list[bool]:
    """Apply the moves, and note them in the same commit.

    MongoDB has none for both. There it is noted first, of jobs that can be moved as they were read:
    rather an entry for a job that has moved on since than an act without one.
    """
    if note and connection.vendor == "mongodb":
        note([job for job, move in zip(jobs, moves, strict=True) if job.status in move.sources])
    happened = lifecycle.apply(moves)
    if note and connection.vendor != "mongodb":
        note([job for job, yes in zip(jobs, happened, strict=True) if yes])
    return happened


def advance(batch: Batch) -> bool:
    """Do a bounded step of what was requested for a running batch, or finish it. Returns whether
    there may be more to do at once.
    """
    if batch.cancel_requested_at:
        # Until it is finished: a job that is being called may be queued again.
        open_jobs = Job.of_batch(batch.pk).filter(status__in=(Status.QUEUED, Status.WAITING))
        jobs = list(open_jobs.defer("input")[:CHUNK])
        if jobs:
            cancel_each(jobs, redis_clock.now())
        if len(jobs) == CHUNK:
            return True
    elif batch.retry_requested_at:
        return _retry_some(batch, batch.retry_requested_at)
    batches.finish(batch)
    return False


def _retry_some(batch: Batch, requested_at: datetime) -> bool:
    """Retry some of the jobs that had failed when the retry was requested."""
    failed = Job.of_batch(batch.pk).filter(status=Status.FAILED, vendor__in=[*catalogue.all()])
    # Not those that were retried for this request and have failed again, whatever a worker's clock
    # says. The time when a job was queued does not tell them apart alone: it lies in the future if
    # the job's entry was lost (jobs.recovery.lost_entries).
    is_first_retry = Q(queued_at__lt=requested_at) | Q(run=1)
    is_first_retry |= Q(finished_at__lt=requested_at - MAX_CLOCK_ERROR)
    by_then = failed.filter(is_first_retry, finished_at__lte=requested_at)
    jobs = list(by_then.defer("input")[:CHUNK])
    if jobs:
        retry_each(jobs, max(redis_clock.now(), requested_at))
    if len(jobs) < CHUNK:
        batches.retry_is_done(batch.pk, requested_at)
    return bool(jobs)


def _by_vendor(jobs: Sequence[Job], happened: Sequence[bool]) -> dict[str, list[str]]:
    """Return the ids of the jobs for which it happened, by vendor."""
    ids: dict[str, list[str]] = defaultdict(list)
    for job, yes in zip(jobs, happened, strict=True):
        if yes:
            ids[job.vendor].append(job.pk)
    return ids
