"""Drops the entries of cancelled jobs: then workers need not take them, and the figures of what
waits do not count them.
"""

from jobs.models import QUEUES, Job, Status, Stream
from jobs.queue import stream
from jobs.queue.stream import Settlement

MAX_LOOKED_AT = 500  # at the head of each stream: cancelled jobs are those that wait longest


def drop_cancelled(vendor: str) -> None:
    """Raises redis.RedisError."""
    for of in QUEUES:
        _drop(vendor, of)


def _drop(vendor: str, of: Stream) -> None:
    entries = stream.in_line(vendor, of, MAX_LOOKED_AT)
    if not entries:
        return
    rows = Job.objects.filter(pk__in=[it.job_id for it in entries], status=Status.CANCELLED)
    cancelled = set(rows.values_list("pk", flat=True))
    stream.settle(vendor, [Settlement(it.job_id, it) for it in entries if it.job_id in cancelled])
