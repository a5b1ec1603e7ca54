"""Counters that /metrics shows, kept in Redis so that all processes share them. Best effort: they
are no truth.
"""

import logging
from collections.abc import Mapping

import redis

from jobs.queue.keys import COUNTERS
from jobs.queue.redis import commands

log = logging.getLogger(__name__)


def count(name: str, vendor: str, by: int = 1) -> None:
    """Raise a vendor's counter `name` by `by`."""
    count_all({(name, vendor): by})


def count_all(numbers: Mapping[tuple[str, str], int]) -> None:
    """Raise several counters, each given as its name and vendor, in one round trip."""
    pipeline = commands().pipeline(transaction=False)
    for (name, vendor), by in numbers.items():
        pipeline.hincrby(COUNTERS, f"{name}|{vendor}", by)
    try:
        pipeline.execute()
    except redis.RedisError:
        log.debug("%d counters were not raised: Redis is away", len(numbers))
