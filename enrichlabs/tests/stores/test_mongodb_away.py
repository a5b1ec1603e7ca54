"""MongoDB is killed or freezes under a running service: clients get an answer in time, and vendors'
answers are kept.

The processes are forked, as in production, and each has its own MongoDB client.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest
import redis

from enrichlabs.tests.stores.test_store_away import IN_TIME_SECONDS, post
from harness.mongodb import SecantusDB
from harness.ports import free_port
from harness.running import ROOT, environment, get
from harness.valkey import Valkey
from harness.vendor.scripted import VendorServer
from harness.waiting import wait_for

KEPT = "answers are kept"


class Service:
    """Two gunicorn and two worker processes on MongoDB, and a vendor that the test holds back."""

    def __init__(self, folder: Path, store: SecantusDB, redis_url: str) -> None:
        self.store = store
        self.port = free_port()
        self.vendor = VendorServer()
        self._folder = folder
        self._variables = environment(
            folder,
            DATABASE_URL=store.url("journal=true&socketTimeoutMS=3000"),
            REDIS_URL=redis_url,
            SERVES="api",
            ALLOW_ANONYMOUS=1,
        )
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        vendors = self._folder / "vendors.toml"
        vendors.write_text(f'[vendors.acme]\nadapter = "sync"\nurl = "{self.vendor.url}"\n')
        for command in (["migrate", "--verbosity=0"], ["load_vendors", str(vendors)]):
            subprocess.run(
                [sys.executable, "manage.py", *command], cwd=ROOT, env=self._variables, check=True
            )
        options = [
            "--config=python:enrichlabs.gunicorn",
            f"--bind=127.0.0.1:{self.port}",
            "--workers=2",
            "--preload",
        ]
        self._run("-m", "gunicorn", *options, "enrichlabs.wsgi")
        # --vendors uses the store before the fork.
        self._run("manage.py", "run_worker", "--processes=2", "--threads=2", "--vendors=acme")
        wait_for(self.is_ready, "the service to be ready", 60)

    def _run(self, *command: str) -> None:
        log = (self._folder / "log").open("ab")
        options = {"cwd": ROOT, "env": self._variables, "start_new_session": True}
        self._processes.append(
            subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, **options)
        )

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def is_ready(self) -> bool:
        try:
            return get(self.port, "/readyz")[0] == 200
        except OSError:
            return False

    def statuses(self) -> list[str]:
        with pymongo.MongoClient(self.store.url()) as client:
            return sorted(job["status"] for job in client.enrichlabs.jobs_job.find())

    def kill(self) -> None:
        self.vendor.hold.set()
        for process in self._processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.vendor.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[Service]:
    redis.Redis.from_url(valkey.url).flushall()
    folder = tmp_path_factory.mktemp("service")
    store = SecantusDB(folder / "db", "--standalone")
    service = Service(folder, store, valkey.url)
    try:
        service.start()
        yield service
    finally:
        service.kill()
        store.process.send_signal(signal.SIGCONT)
        store.kill()


def kill(store: SecantusDB) -> Callable[[], None]:
    store.kill()
    return store.start


def freeze(store: SecantusDB) -> Callable[[], None]:
    store.process.send_signal(signal.SIGSTOP)
    return lambda: store.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("harm", [kill, freeze])
def test_clients_get_503_in_time_and_the_answer_is_recorded_later(
    service: Service, harm: Callable[[SecantusDB], Callable[[], None]]
) -> None:
    service.vendor.hold.clear()
    calls, kept = len(service.vendor.arrivals), service.log.count(KEPT)
    assert post(service.port)[0] == 202
    wait_for(lambda: len(service.vendor.arrivals) > calls, "the call")
    recover = harm(service.store)
    status, code, seconds = post(service.port)
    assert (status, code) == (503, "store_unavailable")
    assert seconds < IN_TIME_SECONDS
    service.vendor.hold.set()
    wait_for(lambda: service.log.count(KEPT) > kept, "a worker to keep its answer", 60)
    recover()
    wait_for(lambda: post(service.port)[0] == 202, "jobs to be accepted again", 60)
    wait_for(lambda: set(service.statuses()) == {"complete"}, "all jobs to be complete", 60)
    keys = service.vendor.keys()
    assert len(keys) == len(set(keys)) == len(service.statuses())
    assert "fork" not in service.log
