"""Connections to Redis. None of them retries by itself: a repeated command could do its work twice
unseen.
"""

from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

HINT_SECONDS = 0.25
COMMAND_SECONDS = 5.0


def connect(timeout_seconds: float) -> Any:
    """Return a client whose commands fail with redis.RedisError after `timeout_seconds`."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )


@lru_cache
def hints() -> Any:
    """Return the process's client for what may fail: a request waits for it a quarter of a second
    at most.
    """
    return connect(HINT_SECONDS)


@lru_cache
def commands() -> Any:
    """Return the process's client for the work of a worker."""
    return connect(COMMAND_SECONDS)
