"""What Redis holds of workers and vendors at one moment, read in one round trip for the console."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import redis

from jobs.queue.clock import redis_clock
from jobs.queue.health import breaker
from jobs.queue.health.breaker import OpenBreaker
from jobs.queue.heartbeat import WorkerHeartbeat, WorkerReport
from jobs.queue.held.asking import HELD, Question, ask_workers, checked, run, workers_of
from jobs.queue.held.hold import Hold
from jobs.queue.keys import GROUP, WORKERS, Keys
from jobs.queue.limiter import moment
from jobs.queue.redis import hints, script
from jobs.queue.usage import USAGE, Usage, UsageQuestion
from jobs.queue.vendor_keys import poll_streams
from jobs.queue.workers import WorkerFacts, parse_facts
from vendors.models import Vendor

MAX_VENDORS = 200
REPLIES = 7  # for each vendor, besides what holds it, its limits, and its streams of polls
HEADS = ("heads",)
SCRIPTS = (HELD, USAGE, HEADS)


@dataclass(frozen=True)
class VendorSnapshot:
    """What Redis holds of one vendor."""

    queued: int  # entries not taken yet; a job that waits for its next attempt has no entry
    calling: int  # entries taken by workers: being called or recorded
    in_flight: int  # jobs that are processing or waiting
    breaker: OpenBreaker | None
    hold: Hold | None  # what holds all of its jobs
    polls_queued: int = 0  # polls that are due and not taken yet
    polling: int = 0  # polls taken by workers; their jobs are not in `calling`
    oldest_seconds: float = 0.0  # how long the oldest of `queued` has been in its stream
    usages: list[Usage] = field(default_factory=list)  # of its limits

    @property
    def waiting(self) -> int:
        return max(self.in_flight - self.calling, 0)

    @property
    def is_at_cap(self) -> bool:
        """Whether a limit has no free slot for a job in flight."""
        caps = ((it.in_flight, it.bucket.max_in_flight) for it in self.usages if it.is_known)
        return any(cap is not None and in_flight >= cap for in_flight, cap in caps)

    @property
    def has_no_slot(self) -> bool:
        """Whether jobs wait for a slot, and most slots are taken by jobs that wait for an answer.
        A vendor that answers at once may be at its cap for as long as it has much to do.
        """
        return self.queued > 0 and self.waiting > self.calling and self.is_at_cap


@dataclass(frozen=True)
class Snapshot:
    now: datetime  # Redis' clock
    redis_answers: bool = False
    workers: list[WorkerHeartbeat] = field(default_factory=list)  # newest heartbeat first
    reports: list[WorkerReport] = field(default_factory=list)  # of the live ones
    # What they reported last, including those that were taken over within an hour.
    facts: Mapping[str, WorkerFacts] = field(default_factory=dict)
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
    questions = [(vendor, Question(vendor), UsageQuestion(vendor)) for vendor in first]

    def ask(pipeline: Any) -> None:
        ask_workers(pipeline)
        pipeline.hgetall(WORKERS)
        for vendor, question, usage in questions:
            _ask(pipeline, vendor)
            question.ask(pipeline)
            usage.ask(pipeline)

    try:
        replies = iter(run(client or hints(), ask, SCRIPTS))
        now_us, workers, reports = workers_of([next(replies) for _ in range(3)])
        redis_clock.hear(now_us / 1e6, asked_at)
        now, facts = moment(str(now_us)), parse_facts(checked(next(replies)), now_us)
        by_slug = {}
        for vendor, question, usage in questions:
            count = REPLIES + 2 * len(poll_streams(vendor))
            of_vendor = [next(replies) for _ in range(count)]
            hold = question.answer(next(replies), reports).hold_at(now, vendor)
            by_slug[vendor.slug] = _parse(of_vendor, hold, now, usage.answer(next(replies)))
    except redis.RedisError:
        return Snapshot(redis_clock.now())
    return Snapshot(now, True, workers, reports, facts, by_slug)


def _ask(pipeline: Any, vendor: Vendor) -> None:
    keys = Keys(vendor.slug)
    pipeline.xlen(keys.jobs).xlen(keys.retries)
    pipeline.xpending(keys.jobs, GROUP).xpending(keys.retries, GROUP)
    pipeline.zcard(keys.in_flight).hgetall(keys.state)
    heads = [keys.retries, keys.jobs, keys.intact_since]
    pipeline.evalsha(script(*HEADS).sha, len(heads), *heads)
    for stream in poll_streams(vendor).values():
        pipeline.xlen(stream).xpending(stream, GROUP)


def _parse(
    replies: Sequence[Any], hold: Hold | None, now: datetime, usages: list[Usage]
) -> VendorSnapshot:
    jobs, retries, *pending, in_flight, state, heads = replies[:REPLIES]
    polls = sum(checked(length) for length in replies[REPLIES::2])
    calling, polling = sum(map(_pending, pending)), sum(map(_pending, replies[REPLIES + 1 :: 2]))
    return VendorSnapshot(
        queued=max(checked(jobs) + checked(retries) - calling, 0),
        calling=calling,
        in_flight=checked(in_flight),
        breaker=breaker.read_open(checked(state), now),
        hold=hold,
        polls_queued=max(polls - polling, 0),
        polling=polling,
        oldest_seconds=_oldest_seconds(heads),
        usages=usages,
    )


def _oldest_seconds(heads: Any) -> float:
    now_ms, *added_ms, _ = checked(heads)
    return max((int(now_ms) - int(added)) / 1000 for added in added_ms)


def _pending(reply: Any) -> int:
    """Return how many entries are pending; 0 if no worker has read the stream, so that it has no
    group.
    """
    return 0 if isinstance(reply, redis.ResponseError) else int(reply["pending"])
