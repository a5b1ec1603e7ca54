"""A store of one size, kept in a folder, on which the service is measured again and again.

Each function runs in its own process (`apart`), because it sets Django up on the place.
"""

import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import django
import requests

from harness.running import environment, get
from harness.waiting import wait_for
from loadtest.bench import fill, rows
from loadtest.bench.service import Service, queue, service, valkey
from loadtest.bench.usage import cpu_seconds

JOB = json.dumps({"vendor": "quick", "name": "John Doe"})
WARM_UP = 20
LISTS = 10
SWEEPS = 3
MAX_SECONDS = 300.0
# The first is measured. The jobs of the other wait.
VENDORS = """
[vendors.quick]
adapter = "sync"
url = "{url}"

[vendors.slow]
adapter = "sync"
url = "{url}"
rate_limits = "1/h"
max_queued = 100000000
"""


@dataclass(frozen=True)
class Place:
    folder: Path
    jobs: int
    waiting: bool  # queued at the slow vendor; otherwise done

    @property
    def store(self) -> Path:
        return self.folder / rows.NAME


@dataclass(frozen=True)
class Visit:
    """How much to do at each visit."""

    drained: int
    posts: int
    idle_seconds: float


def prepare(folder: Path, url: str) -> None:
    """Create what every place starts from: vendors, a superuser, and a job of each kind to copy."""
    with service(folder, VENDORS.format(url=url)) as serves:
        from django.contrib.auth.models import User

        from jobs.queue.keys import Keys

        User.objects.create_superuser("admin")
        queue("quick", 1)
        with serves.worker():
            wait_for(lambda: not _open(serves), "a job to be done")
        queue("slow", 1)
        serves.redis.delete(Keys("slow").jobs)


def make(place: Place, prepared: Path) -> dict[str, float]:
    """Fill the place; returns the size of its jobs in bytes."""
    shutil.copytree(prepared, place.folder, ignore=shutil.ignore_patterns("*.sock"))
    store_bytes = place.store.stat().st_size
    (fill.fill_with_queued if place.waiting else fill.fill_with_done)(place.store, place.jobs)
    with _running(place) as serves:
        redis_bytes = _used_memory(serves)
        if place.waiting:
            from jobs.queue.keys import Keys

            fill.add_entries(place.store, serves.redis, Keys("slow").jobs)
        return {
            "store_bytes": place.store.stat().st_size - store_bytes,
            "redis_bytes": _used_memory(serves) - redis_bytes,
        }


def visit(place: Place, much: Visit) -> dict[str, float]:
    """Measure the service, then restore the place."""
    with _running(place) as serves:
        mark = rows.mark()
        with serves.api() as port:
            get(port, "/healthz")  # waits for the start; a POST would be refused as overloaded
            posts_ms = [_post_ms(port, count) for count in (WARM_UP, much.posts)][-1]
            lists_ms = _lists_ms(port)
        sweeps_ms = [_sweep_ms() for _ in range(SWEEPS)]
        queue("quick", much.drained - much.posts - WARM_UP)
        with serves.worker("--processes", 2) as worker:
            wait_for(lambda: not _open(serves), "the jobs to be done", MAX_SECONDS)
            since = cpu_seconds(worker.pid)
            time.sleep(much.idle_seconds)
            idle_cpu_seconds = cpu_seconds(worker.pid) - since
        rate = _rate(place, mark)
        rows.delete_since(place.store, mark)
    return {
        "drain": rate,
        "post": rows.percentile(posts_ms, 95),
        "list": statistics.median(lists_ms),
        "sweep": statistics.median(sweeps_ms),
        "idle": idle_cpu_seconds / much.idle_seconds * 100,
    }


@contextmanager
def _running(place: Place) -> Iterator[Service]:
    """Run what `prepare` created, without repeating steps that take seconds."""
    variables = environment(place.folder, LOG_LEVEL="WARNING", ALLOW_ANONYMOUS=1)
    with valkey(place.folder) as sock:
        os.environ.update(variables, DJANGO_SETTINGS_MODULE="enrichlabs.settings")
        django.setup()
        serves = Service(place.folder, sock, variables)
        wait_for(
            lambda: not serves.redis.info("persistence")["loading"],
            "Valkey to load its file",
            MAX_SECONDS,
        )
        yield serves


def _used_memory(serves: Service) -> int:
    return int(serves.redis.info("memory")["used_memory"])


def _post_ms(port: int, count: int) -> list[float]:
    """Return how long each of `count` posts took, one after the other."""
    connection, took_ms = HTTPConnection("127.0.0.1", port, timeout=60), []
    for _ in range(count):
        since = time.perf_counter()
        connection.request("POST", "/jobs", JOB, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        took_ms.append((time.perf_counter() - since) * 1000)
        if answer.status != 202:
            raise RuntimeError(f"POST /jobs returned {answer.status}")
    connection.close()
    return took_ms


def _lists_ms(port: int) -> list[float]:
    """Return how long each request for the console's list of jobs took."""
    from django.contrib.auth.models import User
    from django.test import Client

    url = f"http://127.0.0.1:{port}/admin/jobs/job/"
    client, session = Client(), requests.Session()
    client.force_login(User.objects.get(username="admin"))
    session.cookies["sessionid"] = client.cookies["sessionid"].value
    took_ms = []
    for _ in range(1 + LISTS):
        since = time.perf_counter()
        answer = session.get(url, timeout=60, allow_redirects=False)
        took_ms.append((time.perf_counter() - since) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"the list of jobs returned {answer.status_code}")
    return took_ms[1:]


def _sweep_ms() -> float:
    """Return how long a sweep takes in which every step is due."""
    from jobs.recovery.sweep import Sweeper

    since = time.perf_counter()
    Sweeper("bench").sweep(time.monotonic())
    return (time.perf_counter() - since) * 1000


def _open(serves: Service) -> int:
    """Return how many jobs of the quick vendor are open according to Redis."""
    from jobs.queue.keys import Keys

    keys = Keys("quick")
    return sum(
        serves.redis.pipeline(transaction=False)
        .xlen(keys.jobs)
        .xlen(keys.retries)
        .zcard(keys.in_flight)
        .execute()
    )


def _rate(place: Place, mark: str) -> float:
    """Return jobs per second over the middle 80 %, because the start and the end are slower."""
    finished = sorted(job.finished for job in rows.times_since(place.store, mark))
    first, last = int(len(finished) * 0.1), int(len(finished) * 0.9)
    return (last - first) / (finished[last] - finished[first])
