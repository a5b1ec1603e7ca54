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
from jobs.queue.buckets import Bucket, all_buckets_of, keys_of, own_bucket
from jobs.queue.keys import ENDED, Keys
from jobs.queue.redis import commands, hints, script
from jobs.queue.redis_errors import is_wrong_type, refusal
from vendors.catalogue import catalogue

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
    units: int = 1  # that the charge counts in each bucket; 0 for a poll that takes no permit

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

    def arguments(self, stream: str) -> list[str]:
        """Return its ARGV of settle.lua. `stream`: how that names the stream of the entry."""
        frees_slot = "final" if self.is_final else "1" if self.frees_slot else ""
        if self.entry is None:
            return ["", "", self.job_id, frees_slot, "", "", "", self.requeue]
        charge = self.entry.charge if self.refunds else ""
        permit = [charge, str(self.entry.units), self.entry.credential]
        return [stream, self.entry.id, self.job_id, frees_slot, *permit, self.requeue]


def refused(entry: Entry, *, frees_slot: bool) -> Settlement:
    """The job could not be claimed: drop its entry and refund its permit."""
    return Settlement(entry.job_id, entry, frees_slot=frees_slot, refunds=True)


def settle(vendor: str, settlements: Sequence[Settlement], client: Any = None) -> None:
    """Settle all in one script call; no call for an empty list. Raises redis.RedisError."""
    if not settlements:
        return
    keys, buckets = Keys(vendor), _buckets_of(vendor)
    script_keys = [keys.retries, keys.jobs, keys.waited, ENDED, *keys_of(buckets)]
    args = [len(buckets), *(bucket.key for bucket in buckets)]
    for settlement in settlements:
        entry = settlement.entry
        stream = entry.stream.value if entry else ""
        if entry and entry.stream == Stream.POLLS:
            polls = keys.polls_of(entry.credential)
            if polls not in script_keys:
                script_keys.append(polls)
            stream = str(script_keys.index(polls) + 1)
        args += settlement.arguments(stream)
    script("refund", "settle")(keys=script_keys, args=args, client=client or commands())


def _buckets_of(slug: str) -> Sequence[Bucket]:
    """Return the buckets of a vendor and all keys of its credential, as far as they are known
    without asking the store: the sweep corrects the slots in others.
    """
    vendor = catalogue.known(slug)
    if vendor is None or not vendor.limit_names:
        return [own_bucket(slug)]
    try:
        return all_buckets_of(vendor)
    except ValueError:
        return [own_bucket(slug)]


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


def add_polls(
    vendor: str, polls: Iterable[tuple[str, int]], client: Any = None, *, credential: str = ""
) -> None:
    """Add an entry for each poll: a job id and its next_poll_at in microseconds. `credential`: the
    key that the jobs were called with. Raises redis.RedisError.
    """
    key = Keys(vendor).polls_of(credential)
    pipeline = (client or commands()).pipeline(transaction=False)
    for job_id, due_us in polls:
        pipeline.xadd(key, {"v": "1", "job": job_id, "due": due_us})
    pipeline.execute()


def polls_in_line(vendor: str, limit: int, *, credential: str = "") -> list[tuple[str, str]]:
    """Return up to `limit` entries of polls that no worker has taken: each a job id and its
    next_poll_at in microseconds. `credential`: as in `add_polls`. Raises redis.RedisError.
    """
    keys = [Keys(vendor).polls_of(credential)]
    flat = script("in_line")(keys=keys, args=[limit], client=commands())
    return list(zip(flat[1::3], flat[2::3], strict=True))


def in_line(vendor: str, of: Stream, limit: int) -> list[Entry]:
    """Return up to `limit` entries of a stream but polls that no worker has taken. Raises
    redis.RedisError.
    """
    keys = [getattr(Keys(vendor), of.value)]
    flat = script("in_line")(keys=keys, args=[limit], client=commands())
    return [Entry(vendor, of, *pair) for pair in zip(flat[::3], flat[1::3], strict=True)]


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


def refund(vendor: str, charge: str, units: int, credential: str) -> None:
    """Refund the permit of a call that no job has made, best effort."""
    entry = Entry(vendor, Stream.JOBS, "", "", charge, credential=credential, units=units)
    refunded = Settlement("", entry, refunds=True)
    hints_may_fail.give(lambda client: settle(vendor, [refunded], client))


def settle_requeued(vendor: str, settlement: Settlement) -> bool:
    """Settle a job that was queued again outside of a worker, best effort. False: Redis failed, and
    the sweep will free its slot and add its entry.
    """
    return hints_may_fail.give(lambda client: settle(vendor, [settlement], client))
