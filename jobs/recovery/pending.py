"""Entries that were delivered to a worker and not settled yet."""

from collections.abc import Container
from datetime import UTC, datetime

from jobs import lifecycle
from jobs.models import FINAL, IN_FLIGHT, Job, Status, Stream
from jobs.queue.keys import Keys
from jobs.queue.redis import commands, script
from jobs.queue.stream import Entry, Place, Requeue, Settlement, settle
from jobs.queue.vendor_keys import poll_streams
from vendors.catalogue import catalogue

MAX_ENTRIES = 500


def entries_of(vendor: str, consumer: str) -> list[Entry]:
    """Return up to MAX_ENTRIES pending entries of a worker in each of a vendor's streams. Raises
    redis.RedisError.
    """
    args, streams = [consumer, MAX_ENTRIES], _streams(vendor)
    flat = script("pending")(keys=list(streams), args=args, client=commands())
    rows = [flat[i : i + 3] for i in range(0, len(flat), 3)]
    return [
        Entry(vendor, of, entry_id, job_id, credential=key)
        for (of, key), entry_id, job_id in ((streams[name], *rest) for name, *rest in rows)
    ]


def requeue(vendor: str, consumer: str, held: Container[Place]) -> int:
    """Requeue entries that are pending at `consumer` and that it does not hold; returns how many.

    That happens when the reply to a take is lost, or when Redis restarts without its last second.
    Jobs that are still queued get a fresh entry. Entries of other jobs, those that name no job,
    and polls, which are due again when their lease ends, are dropped. Raises redis.RedisError.
    """
    found = entries_of(vendor, consumer)
    entries = [entry for entry in found if entry.place not in held]
    if entries:
        rows = Job.objects.filter(pk__in=[entry.job_id for entry in entries])
        statuses = dict(rows.values_list("pk", "status"))
        queued = {entry.job_id for entry in entries if entry.stream != Stream.POLLS}
        _queue_as_of_now([pk for pk in queued if statuses.get(pk) == Status.QUEUED])
        settle(vendor, [_settlement(entry, statuses.get(entry.job_id)) for entry in entries])
        if len(found) >= MAX_ENTRIES:  # there may be more, and each round leaves fewer
            return len(entries) + requeue(vendor, consumer, held)
    return len(entries)


def _queue_as_of_now(job_ids: list[str]) -> None:
    """The fresh entry goes behind newer ones. With its old queued_at, the job would seem lost."""
    if job_ids:
        now = datetime.fromtimestamp(commands().time()[0], UTC)
        lifecycle.requeue_lost(job_ids, lost_before=now, now=now)


def _settlement(entry: Entry, status: str | None) -> Settlement:
    if entry.stream == Stream.POLLS:  # whatever its job's slot and other entries are, they stay
        return Settlement(entry.job_id, entry)
    requeue = Requeue.IF_PENDING if status == Status.QUEUED else Requeue.NO
    return Settlement(
        entry.job_id,
        entry,
        frees_slot=status not in IN_FLIGHT,
        is_final=status in FINAL,
        requeue=requeue,
    )


def forget(vendors: list[str], consumer: str) -> None:
    """Remove a stopped worker from the groups in which it has no pending entries. Raises
    redis.RedisError.
    """
    for vendor in vendors:
        script("forget")(keys=list(_streams(vendor)), args=[consumer], client=commands())


def _streams(slug: str) -> dict[str, tuple[Stream, str]]:
    """Return what each stream of a vendor holds: by its key in Redis, which stream it is and, of
    polls, the key of the credential that they are made with.
    """
    keys, vendor = Keys(slug), catalogue.get(slug)
    polls = poll_streams(vendor) if vendor else {"": keys.polls}
    return {
        keys.retries: (Stream.RETRIES, ""),
        keys.jobs: (Stream.JOBS, ""),
        **{stream: (Stream.POLLS, key) for key, stream in polls.items()},
    }
