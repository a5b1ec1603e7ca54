"""What Redis holds of workers and vendors at one moment, read in one round trip for the console."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import redis

from jobs.queue.clock import redis_clock
from jobs.queue.health import breaker
from jobs.queue.health.breaker import OpenBreaker
from jobs.queue.heartbeat import MAX_WORKERS_READ, WorkerHeartbeat, parse_heartbeats
from jobs.queue.keys import GROUP, HEARTBEATS, Keys
from jobs.queue.limiter import moment
from jobs.queue.redis import hints
from vendors.models import Vendor

MAX_VENDORS = 200


@dataclass(frozen=True)
class VendorSnapshot:
    """What Redis holds of one vendor."""

    queued: int  # entries not taken yet; a job that waits for its next attempt has no entry
    calling: int  # entries taken by workers: being called or recorded
    in_flight: int  # jobs that are processing or waiting
    breaker: OpenBreaker | None
    max_calls: int | None  # at a time, while the vendor recovers from an outage
    next_start: datetime | None  # allowed by the rate limits; None without rate limits
    polls_queued: int = 0  # polls that are due and not taken yet
    polling: int = 0  # polls taken by workers; their jobs are not in `calling`

    @property
    def waiting(self) -> int:
        return max(self.in_flight - self.calling, 0)


@dataclass(frozen=True)
class Snapshot:
    now: datetime  # Redis' clock
    redis_answers: bool = False
    workers: list[WorkerHeartbeat] = field(default_factory=list)  # newest heartbeat first
    vendors: Mapping[str, VendorSnapshot] = field(default_factory=dict)

    def silent_seconds(self, worker: str) -> float:
        """Return how long a worker has been silent; 0 if it is alive or unknown."""
        silent = (it for it in self.workers if it.name == worker and not it.is_alive)
        return next((it.silent_seconds for it in silent), 0.0)


def take_snapshot(vendors: Iterable[Vendor], client: Any = None) -> Snapshot:
    """Return what Redis holds of its workers and of the first MAX_VENDORS vendors; empty if Redis
    does not answer.
    """
    first, asked_at = list(vendors)[:MAX_VENDORS], time.monotonic()
    pipeline = (client or hints()).pipeline(transaction=False)
    pipeline.time()
    pipeline.zrevrange(HEARTBEATS, 0, MAX_WORKERS_READ - 1, withscores=True)
    for vendor in first:
        _ask(pipeline, vendor)
    try:
        # A stream has no group until the first worker reads it: only that one command fails.
        replies = iter(pipeline.execute(raise_on_error=False))
        seconds, microseconds = _checked(next(replies))
        now_us = seconds * 1_000_000 + microseconds
        redis_clock.hear(now_us / 1e6, asked_at)
        now = moment(str(now_us))
        workers = parse_heartbeats(_checked(next(replies)), now_us)
        by_slug = {vendor.slug: _parse(vendor, replies, now) for vendor in first}
    except redis.RedisError:
        return Snapshot(redis_clock.now())
    return Snapshot(now, True, workers, by_slug)


def _ask(pipeline: Any, vendor: Vendor) -> None:
    keys = Keys(vendor.slug)
    pipeline.xlen(keys.jobs).xlen(keys.retries)
    pipeline.xpending(keys.jobs, GROUP).xpending(keys.retries, GROUP)
    pipeline.zcard(keys.in_flight).hgetall(keys.state)
    pipeline.xlen(keys.polls).xpending(keys.polls, GROUP)
    for window in vendor.windows:
        pipeline.lindex(keys.log, window.calls - 1)


def _parse(vendor: Vendor, replies: Any, now: datetime) -> VendorSnapshot:
    jobs, retries, *pending = (next(replies) for _ in range(4))
    in_flight, state = _checked(next(replies)), _checked(next(replies))
    polls, polling = _checked(next(replies)), _pending(next(replies))
    starts = [(window, _checked(next(replies))) for window in vendor.windows]
    calling = sum(map(_pending, pending))
    next_starts = [
        moment(start) + timedelta(seconds=window.seconds) for window, start in starts if start
    ]
    if starts and "pace" in state:
        next_starts.append(moment(state["pace"]))
    return VendorSnapshot(
        queued=max(_checked(jobs) + _checked(retries) - calling, 0),
        calling=calling,
        in_flight=in_flight,
        breaker=breaker.read_open(state, now),
        max_calls=int(state["recovering"]) if "recovering" in state else None,
        next_start=max(next_starts, default=None),
        polls_queued=max(polls - polling, 0),
        polling=polling,
    )


def _pending(reply: Any) -> int:
    """Return how many entries are pending; 0 if the stream has no group."""
    return 0 if isinstance(reply, redis.ResponseError) else int(reply["pending"])


def _checked(reply: Any) -> Any:
    if isinstance(reply, redis.RedisError):
        raise reply
    return reply
