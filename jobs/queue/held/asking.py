"""Asks Redis what holds vendors, in one pipeline with whatever else is asked."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import redis
from redis.exceptions import NoScriptError

from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import (
    MAX_WORKERS_READ,
    WorkerHeartbeat,
    WorkerReport,
    parse_heartbeats,
    parse_reports,
)
from jobs.queue.held.hold import Hold, Kind, Standing
from jobs.queue.keys import HEARTBEATS, UNUSABLE
from jobs.queue.limiter import moment
from jobs.queue.redis import script
from jobs.queue.take import Admission, admission
from vendors.models import Vendor

HELD = ("limits", "admission", "held")
KINDS = {"recovery": Kind.BREAKER}  # what the script calls otherwise than the API
OF_BUCKETS = (Kind.LIMIT, Kind.QUOTA, Kind.IN_FLIGHT)


def run(
    client: Any, ask: Callable[[Any], None], scripts: Iterable[Sequence[str]] = (HELD,)
) -> list[Any]:
    """Return the replies to what `ask` adds to a pipeline; a command that failed replies its error.
    `scripts`: those that it runs. Raises redis.RedisError if Redis does not answer.
    """
    replies = _replies(client, ask)
    if any(isinstance(reply, NoScriptError) for reply in replies):
        for names in scripts:
            client.script_load(script(*names).script)
        replies = _replies(client, ask)
    return replies


def _replies(client: Any, ask: Callable[[Any], None]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    ask(pipeline)
    replies: list[Any] = pipeline.execute(raise_on_error=False)
    return replies


def ask_workers(pipeline: Any) -> None:
    """Ask for what `workers_of` reads: three replies, of which the first is Redis' time."""
    pipeline.time()
    pipeline.zrevrange(HEARTBEATS, 0, MAX_WORKERS_READ - 1, withscores=True)
    pipeline.hgetall(UNUSABLE)


def workers_of(replies: Sequence[Any]) -> tuple[int, list[WorkerHeartbeat], list[WorkerReport]]:
    """Return Redis' time in microseconds, the workers' heartbeats, newest first, and the reports of
    those that are alive. Raises redis.RedisError.
    """
    (seconds, microseconds), scores, texts = map(checked, replies)
    now_us = seconds * 1_000_000 + microseconds
    workers = parse_heartbeats(scores, now_us)
    alive = [worker.name for worker in workers if worker.is_alive]
    return now_us, workers, parse_reports(alive, texts)


class Question:
    """What holds all jobs of one vendor?"""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._admission: Admission | None = None
        # If its limits are not valid, workers do not serve it, and report this.
        with suppress(ValueError):
            self._admission = admission(vendor, redis_clock.now(), anywhere=True)

    def ask(self, pipeline: Any) -> None:
        """Add a command whose reply `answer` reads."""
        if self._admission is None:
            pipeline.echo("")
        else:
            keys, args = self._admission.keys, self._admission.args(redis_clock.now())
            pipeline.evalsha(script(*HELD).sha, len(keys), *keys, *args, 1)

    def answer(self, reply: Any, reports: Iterable[WorkerReport]) -> Standing:
        """Raises redis.RedisError."""
        is_served = any(report.serves(self._vendor.slug) for report in reports)
        match checked(reply):
            case [_, word, name, until_us, *spent]:
                until = moment(until_us) if until_us else None
                hold = Hold(KINDS.get(word) or Kind(word), self._named(word, name), until)
                return Standing(is_served, hold, tuple(map(self._spent, spent)))
        return Standing(is_served)

    def _spent(self, of_key: Sequence[int]) -> tuple[Hold, ...]:
        pairs = zip(of_key[::2], of_key[1::2], strict=True)
        quota = Kind.QUOTA
        return tuple(Hold(quota, self._named(quota, at), moment(str(until))) for at, until in pairs)

    def _named(self, word: str, name: str | int) -> str:
        """Return the name of the limit or key that the script names."""
        if word in OF_BUCKETS and self._admission:
            return self._admission.buckets[int(name) - 1].limit
        return str(name)


def checked(reply: Any) -> Any:
    """Return the reply. Raises it if it is an error."""
    if isinstance(reply, redis.RedisError):
        raise reply
    return reply
