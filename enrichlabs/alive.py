"""python -m enrichlabs.alive: the health check of a worker.

A worker listens on no port, but sends a heartbeat to Redis every second, with the name of its host.
The exit status is 0 when a worker of this host is alive, and 1 when none is. It is also 0 when
Redis does not answer or refuses heartbeats: the worker then waits, and must not be killed, since it
may hold answers that are not recorded yet.
"""

import os
import socket
import sys

import redis
from django.core.exceptions import ImproperlyConfigured

from jobs.queue.heartbeat import live_workers
from jobs.queue.redis import connect
from jobs.queue.redis_errors import refusal, require_usable

REDIS_TIMEOUT_SECONDS = 2.0  # to connect, and again for each answer


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
    host = socket.gethostname()[:60]
    try:
        alive = host in hosts_alive()
        if not alive:
            require_usable(connect(REDIS_TIMEOUT_SECONDS))
    except ImproperlyConfigured as error:
        sys.stdout.write(f"{error}\n")
        return 1
    except redis.RedisError as error:
        away = f"Unknown: Redis does not answer ({type(error).__name__})."
        sys.stdout.write(f"{refusal(error) or away}\n")
        return 0
    sys.stdout.write(f"{'A' if alive else 'No'} worker of {host} is alive.\n")
    return 0 if alive else 1


def hosts_alive() -> set[str]:
    """Return the hosts whose workers have sent a recent heartbeat. Raises redis.RedisError."""
    workers = live_workers(connect(REDIS_TIMEOUT_SECONDS))  # each is HOST-PID-RANDOM
    return {worker.rsplit("-", 2)[0] for worker in workers}


if __name__ == "__main__":
    sys.exit(main())
