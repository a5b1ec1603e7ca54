"""A vendor's entries: added when a job is queued, settled when a worker is done with it.

jobs.queue.keys lists the keys.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis

from jobs.models import Stream
from jobs.queue.keys import ENDED, Keys
from jobs.queue.redis import commands, hints, script
from jobs.queue.redis_errors import is_wrong_type, refusal

log = logging.getLogger(__name__)

COOL_OFF_SECONDS = 1.0
Place = tuple[str, Stream, str, str]  # where an entry is: vendor, stream, the stream's key, id


@dataclass(frozen=True)
class Entry:
    """A job's entry as a worker took it, and the permit charged for it."""

    slug: str
    stream: Stream
    id: str
    job_id: str
    charge: str = ""  # microseconds of Redis' clock; '' without rate limits
    due: str = ""  # of a poll: the job's next_poll_at, in microseconds, while the entry is valid
    credential: str = ""  # the key that the call is made with, by its variable's name

    @property
    def place(self) -> Place:
        """Where it is. Only polls have a stream for each key."""
        key = self.credential if self.stream == Stream.POLLS else ""
        return self.slug, self.stream, key, self.id


class Requeue(StrEnum):
    """Whether a settled job gets a fresh entry in the stream `retries`."""

    NO = ""
    ALWAYS = "always"
    IF_PENDING = "pending"  # only if the old entry was still pending, so that it happens once


@dataclass(frozen=True)
class Settlement:
    """What `settle` does for one job."""

    job_id: str
    entry: Entry | None = None  # acknowledged and deleted
    frees_slot: bool = False  # free the job's in-flight slot
    is_final: bool = False  # free it, and wake those who wait for the job to end
    refunds: bool = False  # refund the permit: no call was made
    requeue: Requeue = Requeue.NO

    def arguments(self) -> list[str]:
        entry = self.entry
        place = [entry.stream.value, entry.id] if entry else ["", ""]
        charge = entry.charge if entry and self.refunds else ""
        frees_slot = "final" if self.is_final else "1" if self.frees_slot else ""
        return [*place, self.job_id, frees_slot, charge, self.requeue]


def refused(entry: Entry, *, frees_slot: bool) -> Settlement:
    """The job could not be claimed: drop its entry and refund its permit."""
    return Settlement(entry.job_id, entry, frees_slot=frees_slot, refunds=True)


def settle(vendor: str, settlements: Sequence[Settlement], client: Any = None) -> None:
    """Settle all in one script call; no call for an empty list. Raises redis.RedisError."""
    if not settlements:
        return
    keys = Keys(vendor)
    arguments = [argument for settlement in settlements for argument in settlement.arguments()]
    of_vendor = [keys.retries, keys.jobs, keys.freed, keys.log, keys.in_flight, keys.state]
    are_polls = (
        item.entry is not None and item.entry.stream == Stream.POLLS for item in settlements
    )
    polls = [keys.polls] if any(are_polls) else []
    script("settle")(
        keys=[*of_vendor, keys.waited, ENDED, *polls], args=arguments, client=client or commands()
    )


def add(vendor: str, job_ids: Iterable[str], stream: Stream, client: Any = None) -> None:
    """Add an entry for each job. Raises redis.RedisError."""
    add_all({vendor: list(job_ids)}, stream, client)


def add_all(job_ids: Mapping[str, Sequence[str]], stream: Stream, client: Any = None) -> None:
    """Add an entry for each job of these vendors, in one script call. Raises redis.RedisError."""
    script("add")(
        keys=[getattr(Keys(vendor), stream.value) for vendor in job_ids],
        args=[argument for ids in job_ids.values() for argument in (len(ids), *ids)],
        client=client or commands(),
    )


def add_polls(vendor: str, polls: Iterable[tuple[str, int]], key: str = "") -> None:
    """Add an entry for each poll with this key of the credential: a job id and its next_poll_at in
    microseconds. Raises redis.RedisError.
    """
    stream, pipeline = Keys(vendor).polls_of(key), commands().pipeline(transaction=False)
    for job_id, due_us in polls:
        pipeline.xadd(stream, {"v": "1", "job": job_id, "due": due_us})
    pipeline.execute()


def polls_in_line(vendor: str, limit: int, key: str = "") -> list[tuple[str, str]]:
    """Return up to `limit` entries of polls with this key that no worker has taken: each a job id
    and its next_poll_at in microseconds. Raises redis.RedisError.
    """
    stream = Keys(vendor).polls_of(key)
    flat = script("in_line")(keys=[stream], args=[limit], client=commands())
    return list(zip(flat[::2], flat[1::2], strict=True))


class Hints:
    """Best-effort commands with a short timeout. After a failure, none is sent for a second, so
    that requests stay fast.
    """

    def __init__(self) -> None:
        self._skip_until = 0.0
        self._is_down = False

    def give(self, send: Any) -> bool:
        """Call `send` with a client. False: it was skipped, or Redis failed."""
        now = time.monotonic()
        if now < self._skip_until:
            return False
        if self._is_down:  # this thread tries whether Redis is back; no other has to wait for that
            self._skip_until = now + COOL_OFF_SECONDS
        try:
            send(hints())
        except redis.RedisError as error:
            if is_wrong_type(error):  # one vendor's key; the worker that serves this vendor logs it
                self._is_down, self._skip_until = False, 0.0
                return False
            self._skip_until = time.monotonic() + COOL_OFF_SECONDS
            if not self._is_down:
                reason = refusal(error) or f"Redis does not answer ({type(error).__name__})."
                log.warning("%s Jobs are kept and start when it is back.", reason)
            self._is_down = True
            return False
        self._is_down, self._skip_until = False, 0.0
        return True


hints_may_fail = Hints()


def offer(vendor: str, job_ids: Sequence[str], stream: Stream = Stream.JOBS) -> bool:
    """Add entries, best effort. False: Redis failed, and the sweep will add them."""
    return offer_all({vendor: job_ids}, stream)


def offer_all(job_ids: Mapping[str, Sequence[str]], stream: Stream = Stream.JOBS) -> bool:
    """Do the same for the jobs of several vendors, in one round trip; none without jobs."""
    if not job_ids:
        return True
    return hints_may_fail.give(lambda client: add_all(job_ids, stream, client))


def settle_final(vendor: str, job_ids: Sequence[str]) -> bool:
    """Settle jobs that have ended outside of a worker, best effort. False: Redis failed, and the
    sweep will free their slots.
    """
    settlements = [Settlement(job_id, is_final=True) for job_id in job_ids]
    return hints_may_fail.give(lambda client: settle(vendor, settlements, client))


def settle_requeued(vendor: str, settlement: Settlement) -> bool:
    """Settle a job that was queued again outside of a worker, best effort. False: Redis failed, and
    the sweep will free its slot and add its entry.
    """
    return hints_may_fail.give(lambda client: settle(vendor, [settlement], client))
