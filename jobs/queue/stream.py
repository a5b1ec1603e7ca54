"""A vendor's entries: added when a job is queued, settled when a worker is done with it.
jobs.queue.keys names every key.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis

from jobs.models import Stream
from jobs.queue.keys import Keys
from jobs.queue.redis import commands, hints
from jobs.queue.redis_errors import is_wrong_type, refusal
from jobs.queue.scripts import script

log = logging.getLogger(__name__)

ENTRY_VERSION = "1"
COOL_OFF_SECONDS = 1.0


@dataclass(frozen=True)
class Entry:
    """A job's entry as a worker took it, with the permit that was charged for it."""

    slug: str
    stream: Stream
    id: str
    job_id: str
    charge: str = ""  # when, in microseconds of Redis' clock; empty without rate limits


class Requeue(StrEnum):
    """Whether a settled job gets a fresh entry in the stream `again`."""

    NO = ""
    ALWAYS = "always"
    IF_PENDING = "pending"  # only if the old entry still was: else somebody has dealt with it


@dataclass(frozen=True)
class Settlement:
    """How one job leaves a worker's hands."""

    job_id: str
    entry: Entry | None = None
    releases: bool = False  # free the job's in-flight slot
    refunds: bool = False  # give the permit back: no call was made
    requeue: Requeue = Requeue.NO

    def arguments(self) -> list[str]:
        entry = self.entry
        place = [entry.stream.value, entry.id] if entry else ["", ""]
        charge = entry.charge if entry and self.refunds else ""
        return [*place, self.job_id, "1" if self.releases else "", charge, self.requeue]


def refused(entry: Entry, *, releases: bool) -> Settlement:
    """The job was not there to be started: drop its entry and give its permit back."""
    return Settlement(entry.job_id, entry, releases=releases, refunds=True)


def settle(vendor: str, settlements: Sequence[Settlement], client: Any = None) -> None:
    """Settle all at once; with nothing to settle, nothing is sent. Raises redis.RedisError."""
    if not settlements:
        return
    keys = Keys(vendor)
    arguments = [argument for settlement in settlements for argument in settlement.arguments()]
    script("settle")(
        keys=[keys.retries, keys.jobs, keys.freed, keys.log, keys.in_flight, keys.state],
        args=arguments,
        client=client or commands(),
    )


def add(vendor: str, job_ids: Iterable[str], stream: Stream, client: Any = None) -> None:
    """Add an entry for each job. Raises redis.RedisError."""
    key = getattr(Keys(vendor), stream.value)
    pipeline = (client or commands()).pipeline(transaction=False)
    for job_id in job_ids:
        pipeline.xadd(key, {"v": ENTRY_VERSION, "job": job_id})
    pipeline.execute()


class Hints:
    """Best effort within a short time; after a failure, a second without trying, so that requests
    stay quick.
    """

    def __init__(self) -> None:
        self._away_until = 0.0
        self._is_away = False

    def give(self, send: Any) -> bool:
        if time.monotonic() < self._away_until:
            return False
        try:
            send(hints())
        except redis.RedisError as error:
            if is_wrong_type(error):
                return False  # one vendor's key: the others' hints go on, and a worker names it
            self._away_until = time.monotonic() + COOL_OFF_SECONDS
            if not self._is_away:
                reason = refusal(error) or f"Redis does not answer ({type(error).__name__})."
                log.warning("%s Jobs are kept, and start when it is back", reason)
            self._is_away = True
            return False
        self._is_away = False
        return True


hints_may_fail = Hints()


def offer(vendor: str, job_ids: Sequence[str], stream: Stream = Stream.JOBS) -> bool:
    """Tell the workers of queued jobs. False where Redis is away: the sweep will tell them."""
    return hints_may_fail.give(lambda client: add(vendor, job_ids, stream, client))


def free_slots(vendor: str, job_ids: Sequence[str]) -> bool:
    """Free the in-flight slots of jobs that have moved on. False where Redis is away: the sweep
    will free them.
    """
    settlements = [Settlement(job_id, releases=True) for job_id in job_ids]
    return hints_may_fail.give(lambda client: settle(vendor, settlements, client))
