"""Accepts jobs: a job is committed before its client gets the id, and then queued for workers."""

from collections.abc import Sequence

from jobs.models import Job
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.storage import bulk_writes
from jobs.storage.group_commit import GroupCommit


def accept(job: Job) -> None:
    """Commit a new job and queue it. Raises DatabaseError if the store does not accept it."""
    _accepting.commit(job)


def _insert(jobs: Sequence[Job]) -> list[bool]:
    now = redis_clock.now()
    for job in jobs:
        job.queued_at = now
    return bulk_writes.insert_each(jobs)


def _offer(jobs: Sequence[Job]) -> None:
    for vendor in {job.vendor for job in jobs}:
        stream.offer(vendor, [job.pk for job in jobs if job.vendor == vendor])


_accepting = GroupCommit(_insert, then=_offer)
