"""A store of one size, kept in a folder, that is visited again and again: how does the service work
on it?

Each function here runs in a process of its own (bench.apart), as Django is set up on the place.
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
# The first is measured; with the other, jobs wait.
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
    waiting: bool  # queued at the slow vendor; else done

    @property
    def store(self) -> Path:
        return self.folder / rows.NAME


@dataclass(frozen=True)
class Visit:
    """How much is done at each visit."""

    drained: int
    posts: int
    idle_seconds: float


def prepare(folder: Path, url: str) -> None:
    """Make what each place begins as: vendors, a superuser, and a job of either kind, of which the
    others are copies.
    """
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
    """Fill the place; returns what its jobs take, in bytes."""
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
    """Measure the service, and leave the place as it was."""
    with _running(place) as serves:
        mark = rows.mark()
        with serves.api() as port:
            get(
                port, "/healthz"
            )  # answered once it has started, which a post would be refused for waiting for
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
        rows.forget_since(place.store, mark)
    return {
        "drain": rate,
        "post": rows.percentile(posts_ms, 95),
        "list": statistics.median(lists_ms),
        "sweep": statistics.median(sweeps_ms),
        "idle": idle_cpu_seconds / much.idle_seconds * 100,
    }


@contextmanager
def _running(place: Place) -> Iterator[Service]:
    """Run what `prepare` has made, with nothing done again that takes seconds."""
    variables = environment(place.folder, LOG_LEVEL="WARNING")
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
    """Return how long each of so many posts took, one after the other."""
    connection, took_ms = HTTPConnection("127.0.0.1", port, timeout=60), []
    for _ in range(count):
        since = time.perf_counter()
        connection.request("POST", "/jobs", JOB, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        took_ms.append((time.perf_counter() - since) * 1000)
        if answer.status != 202:
            raise RuntimeError(f"POST /jobs was answered with {answer.status}")
    connection.close()
    return took_ms


def _lists_ms(port: int) -> list[float]:
    """Return how long each look at the admin's list of jobs took."""
    from django.contrib.auth.models import User
    from django.test import Client

    client, session = Client(), requests.Session()
    client.force_login(User.objects.get(username="admin"))
    session.cookies["sessionid"] = client.cookies["sessionid"].value
    took_ms = []
    for _ in range(1 + LISTS):
        since = time.perf_counter()
        answer = session.get(
            f"http://127.0.0.1:{port}/admin/jobs/job/", timeout=60, allow_redirects=False
        )
        took_ms.append((time.perf_counter() - since) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"the list of jobs was answered with {answer.status_code}")
    return took_ms[1:]


def _sweep_ms() -> float:
    """Return how long one round of the sweep takes in which every step is due."""
    from jobs.recovery.sweep import Sweeper

    since = time.perf_counter()
    Sweeper("bench").sweep(time.monotonic())
    return (time.perf_counter() - since) * 1000


def _open(serves: Service) -> int:
    """Return how many jobs of the quick vendor are not done, as Redis knows."""
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
    """Return how many jobs were done a second, over the middle 80 %: a start and an end are slower."""
    finished = sorted(job.finished for job in rows.times_since(place.store, mark))
    first, last = int(len(finished) * 0.1), int(len(finished) * 0.9)
    return (last - first) / (finished[last] - finished[first])
