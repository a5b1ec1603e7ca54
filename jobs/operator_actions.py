"""What clients and operators may do to a job: cancel it, or have it tried again."""

from datetime import datetime

from jobs import lifecycle
from jobs.models import Job, Stream
from jobs.queue import stream


def cancel(job: Job, now: datetime) -> bool:
    """Cancel a job that is queued or waits for its callback. False: it has moved on, and nothing
    was changed.
    """
    [happened] = lifecycle.apply([lifecycle.cancel(job, now)])
    if happened:
        stream.free_slots(job.vendor, [job.pk])
    return happened


def retry(job: Job, now: datetime) -> bool:
    """Queue a failed or cancelled job for a new run. False: it has moved on, and nothing was
    changed.
    """
    [happened] = lifecycle.apply([lifecycle.retry(job, now)])
    if happened:
        stream.offer(job.vendor, [job.pk], Stream.RETRIES)
    return happened
