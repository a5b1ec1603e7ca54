"""Permits under several limits at once: from `take`, and from two libraries that also use Redis."""

import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import redis
from limits import RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from pyrate_limiter import Limiter, Rate, RedisBucket

from vendors.limits import parse

if TYPE_CHECKING:
    from jobs.queue.stream import Entry

GROUP, STREAM = "workers", "bench:jobs"
VENDOR = "bench"


class Permits:
    """Permits without jobs."""

    def queue(self, count: int) -> None:
        """Prepare jobs for `count` permits."""

    def ask(self, count: int) -> tuple[int, float]:
        """Return how many of `count` permits were granted, and after how many seconds to ask again
        (0 if unknown).
        """
        raise NotImplementedError


class Take(Permits):
    """Our `take`: the permits and their jobs. Django must be set up."""

    def __init__(self, limits: str, shared: Sequence[str] = ()) -> None:
        """`shared`: the names of limits of the same windows, in which its calls count as well."""
        from vendors.models import Limit, Vendor

        self._vendor = Vendor(slug=VENDOR, adapter="sync", rate_limits=limits, version=1)
        self._vendor.membership, self._vendor.definition = "1", {"limits": list(shared)}
        rules: Any = {"windows": limits}
        self._vendor.name_limits({name: Limit(slug=name, definition=rules) for name in shared})
        self._entries: list[Entry] = []

    def remember(self, starts_us: Sequence[int]) -> None:
        """Build the log from these starts, newest first. Nothing is permitted before that."""
        from jobs.queue.buckets import buckets_of
        from jobs.queue.keys import Keys
        from jobs.queue.restore import Content, Start, restore

        streams = [Keys(VENDOR).retries, Keys(VENDOR).jobs]
        starts = [Start(at_us, at_us) for at_us in starts_us]
        for bucket in buckets_of(self._vendor).common:
            members = [bucket.member] if bucket.limit else []
            content = Content(bucket.windows, starts, members=members, version=bucket.version)
            restore(bucket.keys, content, token="", streams=[] if bucket.limit else streams)

    def queue(self, count: int) -> None:
        from jobs.models import Stream
        from jobs.queue import stream

        stream.add(VENDOR, _job_ids(count), Stream.JOBS)

    def ask(self, count: int) -> tuple[int, float]:
        from jobs.queue.take import take

        taken = take(self._vendor, "bench", count)
        self._entries += taken.entries
        return len(taken.entries), taken.wait_seconds

    def settle(self) -> None:
        """Settle everything that was taken."""
        from jobs.queue import stream
        from vendors.catalogue import catalogue

        catalogue._vendors = {VENDOR: self._vendor}
        stream.settle(
            VENDOR,
            [stream.Settlement(entry.job_id, entry, frees_slot=True) for entry in self._entries],
        )
        self._entries = []


def our_take(limits: str, shared: Sequence[str] = ()) -> Take:
    """Return our permits. Sets Django up, with the Redis of REDIS_URL."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
    import django

    django.setup()
    return Take(limits, shared)


class Limits(Permits):
    """`limits`: moving windows, charged one after the other, the shortest first."""

    def __init__(self, url: str, limits: str) -> None:
        self._items = [
            RateLimitItemPerSecond(window.calls, window.seconds) for window in parse(limits)
        ]
        self._limiter = MovingWindowRateLimiter(
            RedisStorage(url.replace("unix://", "redis+unix://"))
        )
        self.needlessly_charged = 0  # for calls that a later limit refused

    def ask(self, count: int) -> tuple[int, float]:
        hits = (self._limiter.hit(item, VENDOR, cost=count) for item in self._items)
        charged = sum(1 for _ in itertools.takewhile(bool, hits))
        if charged == len(self._items):
            return count, 0.0
        self.needlessly_charged += count * charged
        return 0, 0.0


class PyrateLimiter(Permits):
    """`pyrate-limiter`: one sorted set for all of the rates."""

    def __init__(self, url: str, limits: str) -> None:
        rates = [Rate(window.calls, window.seconds * 1000) for window in parse(limits)]
        self._limiter = Limiter(RedisBucket.init(rates, redis.Redis.from_url(url), VENDOR))

    def ask(self, count: int) -> tuple[int, float]:
        return count if self._limiter.try_acquire("call", weight=count, blocking=False) else 0, 0.0


class WithJobs(Permits):
    """A library's permits, then as many jobs from a stream: what `take` does in one step."""

    def __init__(self, permits: Permits, client: "redis.Redis") -> None:
        self._permits = permits
        self._client: Any = client

    def queue(self, count: int) -> None:
        self._client.delete(STREAM)
        self._client.xgroup_create(STREAM, GROUP, "0", mkstream=True)
        pipeline = self._client.pipeline(transaction=False)
        for job_id in _job_ids(count):
            pipeline.xadd(STREAM, {"v": "1", "job": job_id})
        pipeline.execute()

    def ask(self, count: int) -> tuple[int, float]:
        granted, wait_seconds = self._permits.ask(count)
        if granted:
            self._client.xreadgroup(GROUP, "bench", {STREAM: ">"}, count=granted)
        return granted, wait_seconds


def _job_ids(count: int) -> list[str]:
    return [f"019a0000-0000-7000-8000-{number:012}" for number in range(count)]
