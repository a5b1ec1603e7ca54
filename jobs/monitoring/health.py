"""How Redis and the store are."""

import os
import time
from collections.abc import Iterable
from typing import Any

import redis
from django.db import connection

from jobs.monitoring.facts import RedisHealth, StoreHealth, WorkerLine
from jobs.queue.redis import hints
from jobs.storage.store import STORE_ERRORS

SIZE_SECONDS = 60.0  # how old the store's size may be
STORE_FILES = ("", "-wal", "-shm")


def redis_health(redis_answers: bool) -> RedisHealth:
    """Ask Redis how it is, if it can be expected to answer."""
    if not redis_answers:
        return RedisHealth()
    asked_at = time.monotonic()
    try:
        info: dict[str, Any] = hints().info("server", "memory", "stats", "clients")
    except redis.RedisError:
        return RedisHealth()
    product = "Valkey" if "valkey_version" in info else "Redis"
    return RedisHealth(
        answers=True,
        version=f"{product} {info.get('valkey_version') or info.get('redis_version', '')}",
        used_bytes=int(info.get("used_memory", 0)),
        max_bytes=int(info.get("maxmemory", 0)),
        policy=str(info.get("maxmemory_policy", "")),
        commands_per_second=int(info.get("instantaneous_ops_per_sec", 0)),
        clients=int(info.get("connected_clients", 0)),
        uptime_seconds=int(info.get("uptime_in_seconds", 0)),
        milliseconds=(time.monotonic() - asked_at) * 1000,
    )


class StoreSize:
    """The store's size, which is not asked for each time."""

    def __init__(self) -> None:
        self._bytes: int | None = None
        self._read_at = float("-inf")

    def read(self) -> int | None:
        if time.monotonic() - self._read_at > SIZE_SECONDS:
            self._bytes, self._read_at = _size_bytes(), time.monotonic()
        return self._bytes


def store_health(
    milliseconds: float | None, size: int | None, workers: Iterable[WorkerLine]
) -> StoreHealth:
    writes = (it.store_ms for it in workers if it.state != "silent" and it.store_ms is not None)
    return StoreHealth(
        answers=milliseconds is not None,
        kind="SQLite" if connection.vendor == "sqlite" else "MongoDB",
        milliseconds=milliseconds,
        write_milliseconds=max(writes, default=None),
        size_bytes=size,
    )


def _size_bytes() -> int | None:
    if connection.vendor == "sqlite":
        path = str(connection.settings_dict["NAME"])
        sizes = [os.stat(path + end).st_size for end in STORE_FILES if os.path.exists(path + end)]
        return sum(sizes) or None
    try:
        stats = connection.database.command("dbStats")  # type: ignore[attr-defined]
        return int(stats["dataSize"])
    except (*STORE_ERRORS, KeyError):
        return None
