"""Connections to Redis and its Lua scripts.

No client retries by itself: a command whose reply was lost may already have run.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.client import Redis
from redis.commands.core import Script
from redis.retry import Retry

HINT_TIMEOUT_SECONDS = 0.25
COMMAND_TIMEOUT_SECONDS = 5.0
LUA_FOLDER = Path(__file__).parent / "lua"


def connect(timeout_seconds: float) -> Any:
    """Return a client whose commands raise redis.RedisError after `timeout_seconds`."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )


@lru_cache
def hints() -> Any:
    """Return this process's client for best-effort work in requests; it times out quickly."""
    return connect(HINT_TIMEOUT_SECONDS)


@lru_cache
def commands() -> Any:
    """Return this process's client for the work of a worker."""
    return connect(COMMAND_TIMEOUT_SECONDS)


@lru_cache
def script(*names: str) -> Any:
    """Return the script that joins these files of `lua/`. Call it with keys, args and client.

    Redis identifies a script by the hash of its text, so old and new processes never run each
    other's version.
    """
    text = "\n".join((LUA_FOLDER / f"{name}.lua").read_text() for name in names)
    return Script(Redis(), text)
