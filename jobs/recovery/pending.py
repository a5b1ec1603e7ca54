"""Entries that were delivered to a worker and not yet settled."""

from collections.abc import Container
from datetime import UTC, datetime

from jobs import lifecycle
from jobs.models import IN_FLIGHT, Job, Status, Stream
from jobs.queue.keys import Keys
from jobs.queue.redis import commands, script
from jobs.queue.stream import Entry, Requeue, Settlement, settle

MOST = 500


def pending(vendor: str, consumer: str) -> list[Entry]:
    """Return up to MOST of a vendor's entries that are pending at a worker in each stream. Raises
    redis.RedisError.
    """
    keys = Keys(vendor)
    flat = script("pending")(
        keys=[keys.retries, keys.jobs], args=[consumer, MOST], client=commands()
    )
    rows = [flat[i : i + 3] for i in range(0, len(flat), 3)]
    return [Entry(vendor, Stream(stream), entry_id, job_id) for stream, entry_id, job_id in rows]


def requeue(vendor: str, consumer: str, held: Container[tuple[str, Stream, str]]) -> int:
    """Hand back what is pending at `consumer` and not among the entries that it holds; returns how
    many were.

    That happens when the reply to a take is lost, or when Redis restarts without its last second.
    Jobs that are still queued get a fresh entry, the entries of others are dropped, as are those
    that name no job. Raises redis.RedisError.
    """
    found = pending(vendor, consumer)
    entries = [entry for entry in found if (entry.vendor, entry.stream, entry.id) not in held]
    if entries:
        status = dict(
            Job.objects.filter(pk__in=[entry.job_id for entry in entries]).values_list(
                "pk", "status"
            )
        )
        _queue_as_of_now([job_id for job_id, it_is in status.items() if it_is == Status.QUEUED])
        settle(vendor, [_settlement(entry, status.get(entry.job_id)) for entry in entries])
        if len(found) >= MOST:  # there may be more; each time there are fewer
            return len(entries) + requeue(vendor, consumer, held)
    return len(entries)


def _queue_as_of_now(job_ids: list[str]) -> None:
    """The fresh entry is behind what came meanwhile: by its old time, its job would seem to have
    lost it.
    """
    if job_ids:
        now = datetime.fromtimestamp(commands().time()[0], UTC)
        lifecycle.requeue_lost(job_ids, lost_before=now, now=now)


def _settlement(entry: Entry, status: str | None) -> Settlement:
    again = Requeue.IF_PENDING if status == Status.QUEUED else Requeue.NO
    return Settlement(entry.job_id, entry, frees_slot=status not in IN_FLIGHT, requeue=again)


def forget(vendors: list[str], consumer: str) -> None:
    """Drop a worker that is gone from the groups where it has nothing pending. Raises
    redis.RedisError.
    """
    for vendor in vendors:
        keys = Keys(vendor)
        script("forget")(keys=[keys.retries, keys.jobs], args=[consumer], client=commands())
