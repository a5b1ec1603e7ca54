"""What clients and operators may do to a job: cancel it, or retry it."""

from datetime import datetime

from jobs import lifecycle
from jobs.models import Job, Stream
from jobs.queue import stream


def cancel(job: Job, now: datetime) -> bool:
    """Cancel a job that is queued or waiting. Returns False if it is in another status by now."""
    [happened] = lifecycle.apply([lifecycle.cancel(job, now)])
    if happened:
        stream.free_slots(job.vendor, [job.pk])
    return happened


def retry(job: Job, now: datetime) -> bool:
    """Queue a failed or cancelled job for a new run. Returns False if it is in another status."""
    [happened] = lifecycle.apply([lifecycle.retry(job, now)])
    if happened:
        stream.offer(job.vendor, [job.pk], Stream.RETRIES)
    return happened
