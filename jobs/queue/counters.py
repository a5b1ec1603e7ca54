"""Counters for /metrics, kept in Redis so that all processes share them. Best effort."""

import logging
from collections.abc import Mapping

import redis

from jobs.queue.keys import COUNTERS
from jobs.queue.redis import commands

log = logging.getLogger(__name__)


def count(name: str, vendor: str, by: int = 1) -> None:
    """Add `by` to a vendor's counter `name`."""
    count_all({(name, vendor): by})


def count_all(numbers: Mapping[tuple[str, str], int]) -> None:
    """Add to several counters, keyed by name and vendor, in one round trip."""
    pipeline = commands().pipeline(transaction=False)
    for (name, vendor), by in numbers.items():
        pipeline.hincrby(COUNTERS, f"{name}|{vendor}", by)
    try:
        pipeline.execute()
    except redis.RedisError:
        log.debug("%d counters were not updated: Redis does not answer", len(numbers))
