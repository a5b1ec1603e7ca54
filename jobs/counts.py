"""Counters that /metrics shows, kept in Redis so that all processes share them. Best effort: they are no truth."""

import logging

import redis

from jobs.keys import COUNTS
from jobs.redis import commands

log = logging.getLogger(__name__)


def count(name: str, vendor: str = "", by: int = 1) -> None:
    """Raise the counter `name` (of a vendor) by `by`."""
    try:
        commands().hincrby(COUNTS, f"{name}|{vendor}" if vendor else name, by)
    except redis.RedisError:
        log.debug("the counter %s was not raised: Redis is away", name)
