"""What Redis holds of workers and vendors at one moment, for people and /metrics: only read, in one
round trip.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import redis

from jobs.queue import breaker
from jobs.queue.breaker import Opening
from jobs.queue.clock import clock
from jobs.queue.heartbeat import MAX_SEEN, SeenWorker, workers_of
from jobs.queue.keys import GROUP, HEARTBEATS, Keys
from jobs.queue.limiter import moment
from jobs.queue.redis import hints
from vendors.models import Vendor

MAX_VENDORS = 200


@dataclass(frozen=True)
class Held:
    """What Redis holds of one vendor."""

    queued: int  # entries that no worker has taken; a job that waits for its next attempt has none
    calling: int  # entries that workers hold: called, or being recorded
    in_flight: int  # jobs that are processing or waiting for their callback
    breaker: Opening | None
    calls_at_most: int | None  # after an outage, until the vendor is trusted again
    next_start: datetime | None  # by the rate limits; None without any

    @property
    def awaiting_callback(self) -> int:
        return max(self.in_flight - self.calling, 0)


@dataclass(frozen=True)
class Snapshot:
    now: datetime  # by Redis' clock; the machine's where Redis does not answer
    answers: bool = False
    workers: list[SeenWorker] = field(default_factory=list)  # whoever has beaten last comes first
    vendors: Mapping[str, Held] = field(default_factory=dict)

    def silence_of(self, worker: str) -> float:
        """Return for how many seconds a worker has been silent, if that is too long; else 0."""
        return next(
            (
                found.silent_seconds
                for found in self.workers
                if found.name == worker and not found.is_alive
            ),
            0.0,
        )


def take_snapshot(vendors: Iterable[Vendor], client: Any = None) -> Snapshot:
    """Return what Redis holds now of its workers and of the first MAX_VENDORS vendors; of none
    where it does not answer.
    """
    wanted = list(vendors)[:MAX_VENDORS]
    pipeline = (client or hints()).pipeline(transaction=False)
    pipeline.time()
    pipeline.zrevrange(HEARTBEATS, 0, MAX_SEEN - 1, withscores=True)
    for vendor in wanted:
        _ask(pipeline, vendor)
    try:
        # A stream that no worker has looked at has no group yet, and that is an error of one
        # command alone.
        answers = iter(pipeline.execute(raise_on_error=False))
        seconds, microseconds = _read(next(answers))
        now_us = seconds * 1_000_000 + microseconds
        workers = workers_of(_read(next(answers)), now_us)
        held = {vendor.slug: _held(vendor, answers, moment(str(now_us))) for vendor in wanted}
    except redis.RedisError:
        return Snapshot(clock.now())
    return Snapshot(moment(str(now_us)), True, workers, held)


def _ask(pipeline: Any, vendor: Vendor) -> None:
    keys = Keys(vendor.slug)
    pipeline.xlen(keys.jobs).xlen(keys.retries).xpending(keys.jobs, GROUP).xpending(
        keys.retries, GROUP
    )
    pipeline.zcard(keys.in_flight).hgetall(keys.state)
    for window in vendor.windows:
        pipeline.lindex(keys.log, window.calls - 1)


def _held(vendor: Vendor, answers: Any, now: datetime) -> Held:
    jobs, retries, *pending = (next(answers) for _ in range(4))
    in_flight, gate = _read(next(answers)), _read(next(answers))
    starts = [(window, _read(next(answers))) for window in vendor.windows]
    entries = _read(jobs) + _read(retries)
    calling = sum(
        0 if isinstance(answer, redis.ResponseError) else answer["pending"] for answer in pending
    )
    leave = [moment(start) + timedelta(seconds=window.seconds) for window, start in starts if start]
    due = [moment(gate["pace"])] if starts and "pace" in gate else []
    return Held(
        queued=max(entries - calling, 0),
        calling=calling,
        in_flight=in_flight,
        breaker=breaker.opening(gate, now),
        calls_at_most=int(gate["recovering"]) if "recovering" in gate else None,
        next_start=max([*leave, *due], default=None),
    )


def _read(answer: Any) -> Any:
    if isinstance(answer, redis.RedisError):
        raise answer
    return answer
