"""Asks Redis what holds vendors, in one pipeline with whatever else is asked."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError

from jobs.queue import limiter
from jobs.queue.heartbeat import (
    MAX_WORKERS_READ,
    WorkerHeartbeat,
    WorkerReport,
    parse_heartbeats,
    parse_reports,
)
from jobs.queue.held.hold import Hold, Kind, Standing
from jobs.queue.keys import HEARTBEATS, UNUSABLE
from jobs.queue.redis import script
from vendors.models import Vendor

# What the script calls a hold, if the API calls it otherwise.
KINDS = {"recovery": Kind.BREAKER}
HELD = ("limits", "held")


def run(client: Any, ask: Callable[[Any], None]) -> list[Any]:
    """Return the replies to what `ask` adds to a pipeline; a command that failed replies its error.
    Raises redis.RedisError if Redis does not answer.
    """
    replies = _replies(client, ask)
    if any(isinstance(reply, NoScriptError) for reply in replies):
        client.script_load(script(*HELD).script)
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


def ask_hold(pipeline: Any, vendor: Vendor) -> None:
    """Ask for what `standing_of` reads: one reply."""
    try:
        keys = limiter.keys_of(vendor.slug)
        args = [*limiter.arguments(vendor.windows), vendor.max_in_flight or 0]
    except ValueError:  # its limits are not valid, so workers do not serve it, and report this
        pipeline.echo("")
    else:
        pipeline.evalsha(script(*HELD).sha, len(keys), *keys, *args)


def standing_of(vendor: Vendor, reply: Any, reports: Iterable[WorkerReport]) -> Standing:
    """Raises redis.RedisError."""
    is_served = any(report.serves(vendor.slug) for report in reports)
    if not checked(reply):
        return Standing(is_served)
    word, place, until_us = reply
    until = limiter.moment(until_us) if int(until_us) else None
    return Standing(is_served, Hold(KINDS.get(word) or Kind(word), _name(vendor, place), until))


def _name(vendor: Vendor, place: int) -> str:
    return ""


def checked(reply: Any) -> Any:
    """Return the reply. Raises it if it is an error."""
    if isinstance(reply, redis.RedisError):
        raise reply
    return reply
