"""Journeys across apps: real worker processes, store and Redis, and a vendor that is a real HTTP
server.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection, connections

from harness.preloaded_worker import PreloadedWorker
from harness.vendor.scripted import VendorServer
from harness.waiting import wait_for
from jobs.models import FINAL, Job
from jobs.queue import stream
from jobs.worker.worker import Worker
from tests import gallery

ROOT = Path(__file__).parent.parent


@pytest.fixture
def vendor_server() -> Iterator[VendorServer]:
    server = VendorServer()
    yield server
    server.stop()


class WorkerProcess:
    """`manage.py run_worker`, with its output in a file."""

    def __init__(self, *options: str, log: Path, **environment: str) -> None:
        self.log = log
        self.log.touch()
        # In its own session, so that a worker and its children can be killed together.
        self.process: subprocess.Popen[bytes] | PreloadedWorker
        # Keys of vendors are read when they are used, so that a forked process can have them, too.
        if all(name.startswith("VENDOR_") for name in environment):
            self.process = PreloadedWorker(
                options, log=log, store=store_url(), variables=environment
            )
        else:
            self.process = self._from_scratch(options, environment)

    def _from_scratch(
        self, options: Sequence[str], environment: dict[str, str]
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "run_worker", *options],
            env={**os.environ, "DATABASE_URL": store_url(), **environment},
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait()

    def end(self, seconds: float = 30) -> int:
        """Wait until it ends, and return its exit status."""
        return self.process.wait(seconds)

    @property
    def output(self) -> str:
        return self.log.read_text()


def store_url() -> str:
    """Return the URL of this test's store, for other processes."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite://{name}"
    parts = urlsplit(settings.DATABASE_URL)
    options = [parts.query] if parts.query else []
    # A login is checked against the database in the URL, which changes here.
    if parts.username and "authSource" not in parts.query:
        options.append(f"authSource={parts.path.strip('/') or 'admin'}")
    return urlunsplit(parts._replace(path=f"/{name}", query="&".join(options)))


@pytest.fixture
def start_worker(
    transactional_db: None, redis_client: object, tmp_path: Path
) -> Iterator[Callable[..., WorkerProcess]]:
    """Start worker processes. Those that still run at the end are killed."""
    workers: list[WorkerProcess] = []

    def start(*options: str, **environment: str) -> WorkerProcess:
        log = tmp_path / f"worker-{len(workers)}.log"
        workers.append(WorkerProcess(*options, log=log, **environment))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait()


@pytest.fixture
def submit(transactional_db: None) -> Callable[..., list[Job]]:
    """Queue jobs as the API does: the row first, then its entry."""

    def submit(count: int = 1, vendor: str = "acme") -> list[Job]:
        jobs = [
            Job.new(vendor=vendor, name=f"Person {n}", input={"name": f"Person {n}"})
            for n in range(count)
        ]
        Job.objects.bulk_create(jobs)
        stream.offer(vendor, [job.pk for job in jobs])
        return jobs

    return submit


def statuses() -> list[str]:
    return sorted(Job.objects.values_list("status", flat=True))


def all_final() -> bool:
    return all(status in FINAL for status in statuses())


def wait_until_final(seconds: float = 30) -> None:
    wait_for(all_final, "all jobs to be final", seconds)


@pytest.fixture
def gallery_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables that the gallery's definitions name."""
    for name, key in gallery.variables().items():
        monkeypatch.setenv(name, key)


@pytest.fixture
def work(transactional_db: None, redis_client: object) -> Iterator[Callable[[], None]]:
    """Return a function that starts a worker in a thread of this process, with its environment."""
    worker = Worker(threads=4)

    def run() -> None:
        worker.run()
        connections.close_all()

    thread = Thread(target=run)
    yield thread.start
    worker.stop()
    if thread.ident:
        thread.join(30)
