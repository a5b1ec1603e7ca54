"""Refuses commands that copy or fill the store while workers are running."""

import redis
from django.core.management.base import CommandError

from jobs.queue.heartbeat import live_workers
from jobs.queue.redis import commands


def require_no_workers(reason: str) -> None:
    """Raises CommandError with the reason if a worker is running.

    Without Redis no worker can start a call, so an unreachable Redis counts as no worker. Whether
    the API is running can't be detected.
    """
    try:
        alive = live_workers(commands())
    except redis.RedisError:
        return
    if alive:
        remedy = "Stop the API, the callback endpoint and the workers first, or pass --live."
        raise CommandError(f"A worker is running. {reason} {remedy}")
