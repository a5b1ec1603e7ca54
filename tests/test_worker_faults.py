"""A worker logs once what keeps it from working, checks again at intervals, and goes on when the
fault is gone.
"""

import sqlite3
import time

import pytest
from django.db import connection

from harness.waiting import wait_for
from jobs.models import Job, Status
from jobs.queue.keys import Keys
from jobs.storage.errors import FILE_GONE
from tests.conftest import wait_until_final

pytestmark = pytest.mark.about_redis


@pytest.mark.sqlite
def test_a_store_whose_file_was_removed_is_reported_once(start_worker, make_vendor, tmp_path):
    make_vendor()
    store = tmp_path / "enrichlabs.sqlite3"
    copy = sqlite3.connect(store)
    connection.connection.backup(copy)
    copy.close()
    worker = start_worker(DATABASE_URL=f"sqlite://{store}")
    wait_for(lambda: "limits of acme rebuilt" in worker.output, "the worker to ask its vendor")
    for file in tmp_path.glob("enrichlabs.sqlite3*"):
        file.unlink()
    wait_for(lambda: FILE_GONE in worker.output, "the worker to report the fault")
    wait_for(lambda: "sweep step" in worker.output, "the sweep to meet it as well")
    end = time.monotonic() + 2.5
    wait_for(lambda: time.monotonic() > end, "each step of the sweep to meet it twice")
    assert worker.output.count(FILE_GONE) == 1
    assert worker.output.count("sweep step enqueue_due_jobs failed") == 1
    assert worker.process.poll() is None


@pytest.fixture
def worker(start_worker, make_vendor, vendor_server, redis_client):
    """A worker that has asked its two vendors for work."""
    make_vendor(url=vendor_server.url)
    make_vendor("other", url=vendor_server.url)
    worker = start_worker()
    wait_for(lambda: "limits of acme rebuilt" in worker.output, "the worker to ask its vendors")
    return worker


FAULTS = [
    (
        ["CONFIG", "SET", "maxmemory", 1],
        ["CONFIG", "SET", "maxmemory", 0],
        "Redis is out of memory and refuses to write.",
    ),
    (
        ["REPLICAOF", "127.0.0.1", "1"],
        ["REPLICAOF", "NO", "ONE"],
        "Redis is a replica and refuses to write.",
    ),
    (
        ["ACL", "SETUSER", "default", "-xreadgroup"],
        ["ACL", "SETUSER", "default", "+@all"],
        "The Redis user of REDIS_URL lacks a permission.",
    ),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_redis_that_refuses_to_write_is_reported_once(worker, submit, redis_client, fault):
    cause, undo, says = fault
    redis_client.execute_command(*cause)
    try:
        wait_for(lambda: says in worker.output, "the worker to report the fault")
        submit(3)
        end = time.monotonic() + 2.5
        wait_for(lambda: time.monotonic() > end, "some rounds to pass")
        assert worker.output.count(says) == 1, worker.output
        assert worker.output.count("Redis is back") == 0
        assert worker.output.count("limits of acme rebuilt") == 1
    finally:
        redis_client.execute_command(*undo)
    wait_for(lambda: "Redis is back" in worker.output, "the worker to go on")
    submit(1)
    wait_until_final()


@pytest.mark.parametrize("name", ["jobs", "in_flight", "state"])
def test_a_key_of_the_wrong_type_stops_only_its_vendor(worker, submit, redis_client, name):
    key = getattr(Keys("acme"), name)
    redis_client.pipeline().delete(key).sadd(key, "x").execute()  # the worker may write in between
    submit(1)
    wait_for(lambda: "acme is not served" in worker.output, "the worker to report the fault")
    [job] = submit(1, "other")
    rows = Job.objects.filter(pk=job.pk, status=Status.COMPLETE)
    wait_for(rows.exists, "the other vendor's job to be done")
    assert worker.output.count("wrong type") == 1, worker.output
    redis_client.delete(key)
    wait_for(lambda: "vendor acme is served again" in worker.output, "the vendor to be served")
    wait_until_final()
