"""Whether anybody works at this moment: a store that is copied, or written into, should stand
still.
"""

import redis
from django.core.management.base import CommandError

from jobs.queue.heartbeat import live_workers
from jobs.queue.redis import commands


def require_standstill(reason: str) -> None:
    """Raises CommandError with the reason while a worker is alive.

    Redis away is as good as no worker: without it no call begins. The API gives no sign of life;
    who stops it is the operator.
    """
    try:
        alive = live_workers(commands())
    except redis.RedisError:
        return
    if alive:
        raise CommandError(
            f"A worker is alive. {reason} Stop API, callbacks and workers first, or say --live."
        )
