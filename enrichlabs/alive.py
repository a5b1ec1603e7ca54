"""Whether a worker of this machine or container is alive: python -m enrichlabs.alive, for the
health check of a worker.

A worker listens on no port, but it beats in Redis every second under the name of its host. Exits
with 0 when one of this host has beaten of late, with 1 when none has. A Redis that is silent, or
takes no beats, says nothing about a worker: it waits, and must not be killed for that, as it may
hold answers that are not recorded yet.
"""

import os
import socket
import sys

import redis
from django.core.exceptions import ImproperlyConfigured

from jobs.queue.heartbeat import live_workers
from jobs.queue.redis import connect
from jobs.queue.redis_errors import refusal, require_usable

REDIS_SECONDS = 2.0  # to connect, and again for each answer


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
    host = socket.gethostname()[:60]
    try:
        alive = host in hosts_alive()
        if not alive:
            require_usable(connect(REDIS_SECONDS))
    except ImproperlyConfigured as error:
        sys.stdout.write(f"{error}\n")
        return 1
    except redis.RedisError as error:
        sys.stdout.write(
            refusal(error) or f"Unknown, as Redis does not answer ({type(error).__name__})."
        )
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(f"{'A' if alive else 'No'} worker of {host} is alive.\n")
    return 0 if alive else 1


def hosts_alive() -> set[str]:
    """Return the hosts whose workers have beaten of late. Raises redis.RedisError."""
    return {
        worker.rsplit("-", 2)[0] for worker in live_workers(connect(REDIS_SECONDS))
    }  # HOST-PID-RANDOM


if __name__ == "__main__":
    sys.exit(main())
