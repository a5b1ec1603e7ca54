"""What workers report of themselves with each heartbeat, and the orders that they read there."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from jobs.queue.keys import ORDERS, WORKERS
from jobs.queue.redis import commands

UNREADABLE = "unreadable"  # in place of a version
LATEST = 1e11  # Unix seconds; a date can't hold many more
KEPT_SECONDS = 3600.0  # how long a worker that was taken over is remembered


class Order(StrEnum):
    DRAIN = "drain"  # take nothing more, but stay
    RESUME = "resume"  # take again
    STOP = "stop"  # end as on SIGTERM


@dataclass(frozen=True)
class WorkerFacts:
    """What one worker reports of itself. `sent_at`, by Redis' clock, and `clock`, by the machine's,
    are Unix seconds.
    """

    host: str = ""
    version: str = ""
    threads: int = 0
    busy: int = 0
    per_minute: int = 0  # jobs recorded in the last minute
    started_at: float = 0.0
    state: str = ""  # draining or stopping; '' while it takes jobs
    only: tuple[str, ...] = ()  # the vendors that it works for; (): all
    store_ms: float | None = None  # its last write to the store
    clock: float = 0.0
    sent_at: float = 0.0

    def as_text(self) -> str:
        return json.dumps(asdict(self))

    @property
    def clock_ahead_seconds(self) -> float:
        """How far the clock of its machine is ahead of Redis'."""
        return self.clock - self.sent_at if self.clock else 0.0


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in value)


_MAKERS = {"str": str, "int": int, "float": float, "float | None": float}
TYPES: dict[str, Callable[[Any], Any]] = {
    field.name: _MAKERS.get(getattr(field.type, "__name__", str(field.type)), _names)
    for field in fields(WorkerFacts)
}


def parse_facts(texts: Mapping[str, str], now_us: int) -> dict[str, WorkerFacts]:
    """Return the facts in the hash at WORKERS, by worker, but those of workers that were last heard
    of long ago. `now_us`: Redis' time.
    """
    found = {name: _parse(text) for name, text in texts.items()}
    since = now_us / 1e6 - KEPT_SECONDS
    return {name: each for name, each in found.items() if each.sent_at >= since}


def _parse(text: str) -> WorkerFacts:
    """Return the facts, as far as this version knows them: another one may have sent them. One
    worker that can't be read must not hide the others.
    """
    sent_ms, _, report = text.partition(" ")
    sent_at = int(sent_ms) / 1000 if sent_ms.isdecimal() else 0.0
    try:
        found = {name: each for name, each in json.loads(report or "{}").items() if name in TYPES}
        found = {name: TYPES[name](each) for name, each in found.items() if each is not None}
        facts = WorkerFacts(**{**found, "sent_at": sent_at})
    except (ValueError, TypeError, AttributeError, OverflowError):
        return WorkerFacts(version=UNREADABLE, sent_at=sent_at)
    is_time = all(0 <= at <= LATEST for at in (facts.started_at, facts.clock))
    return facts if is_time else WorkerFacts(version=UNREADABLE, sent_at=sent_at)


def forget_old(client: Any) -> None:
    """Forget workers that were last heard of long ago. Raises redis.RedisError."""
    (seconds, microseconds), texts = client.time(), client.hgetall(WORKERS)
    kept = parse_facts(texts, seconds * 1_000_000 + microseconds)
    if gone := [name for name in texts if name not in kept]:
        client.hdel(WORKERS, *gone)
        client.hdel(ORDERS, *gone)


def give_order(worker: str, order: Order) -> bool:
    """Have a worker read an order with its next heartbeat. Returns False if no such worker is
    known. Raises redis.RedisError.
    """
    if not commands().hexists(WORKERS, worker):
        return False
    # The rest makes it new, should the worker have obeyed the same one before.
    commands().hset(ORDERS, worker, f"{order.value} {secrets.token_hex(4)}")
    return True
