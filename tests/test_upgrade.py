"""Processes of two versions side by side: entries, scripts and a rolling restart."""

import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.waiting import wait_for
from jobs.models import Attempt, Job
from jobs.queue.keys import Keys
from tests import conftest
from tests.conftest import statuses, wait_until_final

pytestmark = pytest.mark.about_redis

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)
LATER_ENTRY = {"v": "2", "more": "x"}
KEYS = Keys("acme")


@pytest.fixture(autouse=True)
def acme(make_vendor, vendor_server, transactional_db):
    return make_vendor(url=vendor_server.url, rate_limits="20/s")


@pytest.fixture
def start_later_worker(start_worker, tmp_path, monkeypatch):
    """Start a worker of a later version, with other script hashes and additional entry fields."""
    later = tmp_path / "later"
    for name in ("enrichlabs", "jobs", "vendors", "webhooks"):
        shutil.copytree(
            conftest.ROOT / name,
            later / name,
            ignore=shutil.ignore_patterns("tests", "__pycache__"),
        )
    shutil.copy(conftest.ROOT / "manage.py", later)
    for script in later.glob("jobs/queue/lua/*.lua"):
        script.write_text(f"{script.read_text()}\n-- a later version\n")
    change(later / "jobs/queue/lua/settle.lua", "'v', '1',", "'v', '2', 'more', 'x',")
    change(later / "jobs/queue/lua/add.lua", "'v', '1',", "'v', '2', 'more', 'x',")

    def start(*options):
        with monkeypatch.context() as patch:
            patch.setattr(conftest, "ROOT", later)
            return start_worker(*options)

    return start


def change(path: Path, old: str, new: str):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def max_per_second(arrivals):
    times = sorted(arrival.at for arrival in arrivals)
    return max(sum(at <= other < at + 1 for other in times) for at in times)


def called_once_each(vendor_server):
    return sorted(vendor_server.keys()) == sorted(Job.objects.values_list("pk", flat=True))


def test_an_entry_of_a_later_version_is_executed(
    make_job, start_worker, redis_client, vendor_server
):
    redis_client.xadd(KEYS.jobs, {**LATER_ENTRY, "job": make_job().pk})
    start_worker()
    wait_until_final()
    assert called_once_each(vendor_server)


def test_an_entry_without_a_job_is_dropped_and_its_job_is_queued_again(
    make_job, start_worker, redis_client, vendor_server
):
    """The entry of an unknown version can't be read, but the row is the source of truth."""
    for entry in (
        {"v": "3", "work": make_job(queued_at=LONG_AGO).pk},
        {"v": "1", "job": make_job().pk},
    ):
        redis_client.xadd(KEYS.jobs, entry)
    worker = start_worker()
    wait_until_final()
    wait_for(
        lambda: redis_client.xlen(KEYS.jobs) + redis_client.xlen(KEYS.retries) == 0,
        "both streams to be empty",
    )
    assert (called_once_each(vendor_server), worker.process.poll()) == (True, None)
    assert redis_client.zcard(KEYS.in_flight) == 0


def test_two_versions_share_the_work_and_the_limits(
    start_worker, start_later_worker, submit, redis_client, vendor_server
):
    workers = start_worker(), start_later_worker()
    wait_for(lambda: redis_client.zcard("enrich:heartbeats") == 2, "two heartbeats")
    submit(30)
    later = Job.objects.bulk_create(
        [Job.new(vendor="acme", name="x", input={"name": "x"}) for _ in range(30)]
    )
    for job in later:
        redis_client.xadd(KEYS.jobs, {**LATER_ENTRY, "job": job.pk})
    wait_until_final()
    assert called_once_each(vendor_server)
    assert max_per_second(vendor_server.arrivals) <= 22
    assert Attempt.objects.values("worker").distinct().count() == 2
    assert [worker.process.poll() for worker in workers] == [None, None]


@pytest.mark.parametrize("back", [False, True])
def test_a_rolling_restart_loses_no_job_and_repeats_no_call(
    start_worker, start_later_worker, submit, vendor_server, back
):
    old, new = (start_later_worker, start_worker) if back else (start_worker, start_later_worker)
    leaving = old()
    submit(30)
    wait_for(lambda: len(vendor_server.arrivals) >= 5, "five calls")
    coming = new()
    wait_for(lambda: " starts, " in coming.output, "the new worker to start")
    leaving.send(signal.SIGTERM)
    submit(20)
    assert leaving.end() == 0
    wait_until_final()
    assert statuses() == ["complete"] * 50
    assert called_once_each(vendor_server)
    # A job that the leaving worker had claimed and released has the number 2.
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["found"] * 50
    assert Attempt.objects.values("worker").distinct().count() == 2


def test_jobs_of_a_killed_worker_are_taken_over_by_the_other_version(
    start_worker, start_later_worker, submit, vendor_server
):
    vendor_server.hold.clear()
    killed = start_later_worker()
    submit(3)
    wait_for(lambda: len(vendor_server.arrivals) == 3, "three calls")
    start_worker()
    killed.kill()
    vendor_server.hold.set()
    wait_until_final()
    assert set(vendor_server.keys()) == set(Job.objects.values_list("pk", flat=True))
    assert {(job.status, job.crashes) for job in Job.objects.all()} == {("complete", 1)}
