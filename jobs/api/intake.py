"""Accepts jobs: a job is committed before its client gets the id, and then queued for workers."""

import time
from collections import defaultdict
from collections.abc import Sequence

from jobs import tallies
from jobs.models import Job
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.storage import bulk_writes
from jobs.storage.group_commit import GroupCommit


def accept(job: Job) -> bool:
    """Commit a new job and queue it. Returns False, with nothing done, if its client has another
    job with the same idempotency key.

    Raises DatabaseError if the store does not accept it.
    """
    began_at = time.monotonic()
    try:
        return _accepting.commit(job)
    finally:
        tallies.committed(time.monotonic() - began_at)


def insert(jobs: Sequence[Job]) -> list[bool]:
    """Insert new jobs, inside a commit. Returns for each whether it is stored."""
    now = redis_clock.now()
    for job in jobs:
        job.queued_at = job.not_before or now
    return bulk_writes.insert_each(jobs)


def offer(jobs: Sequence[Job], are_stored: Sequence[bool]) -> None:
    """Count those of the committed jobs that are stored, and queue those of them that are not
    delayed, best effort.
    """
    tallies.accepted(job for job, yes in zip(jobs, are_stored, strict=True) if yes)
    ids: dict[str, list[str]] = defaultdict(list)
    for job, is_stored in zip(jobs, are_stored, strict=True):
        if is_stored and job.not_before is None:
            ids[job.vendor].append(job.pk)
    stream.offer_all(ids)


_accepting = GroupCommit(insert, then=offer)
