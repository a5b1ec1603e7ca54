"""The number of operations of the store and Redis for a worker with few or many jobs, for a
request, and for an idle worker.
"""

import pytest
from django.db import connection

from harness.limits import restore_own
from jobs.api.intake import accept
from jobs.models import Job
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.redis import script
from jobs.queue.take import take
from jobs.recovery.sweep import TICK_SECONDS, Sweeper
from jobs.worker.claim import claim
from jobs.worker.held_entries import HeldEntries
from jobs.worker.record import Recorder
from jobs.worker.settle import settle
from jobs.worker.worker import Worker
from tests.counting import asking_redis, asking_the_store
from vendors.base import Done, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("transactional_db", "redis_client")

FEW, MANY = 10, 100
STORE_OPERATIONS = {"sqlite": 8, "mongodb": 5}  # including BEGIN
REDIS_ROUND_TRIPS = 3  # take, report, settle


class Batch:
    """The steps of a worker for several jobs, without its threads."""

    def __init__(self, vendor):
        self.vendor = vendor
        self.held = HeldEntries("w", Heartbeat("w"))
        self.recorder = Recorder()

    def run(self, count):
        executions = claim([take(self.vendor, "w", count)], "w", self.held)
        assert len(executions) == count
        for number, execution in enumerate(executions):
            execution.answer = self.answer(number)
        self.recorder.record(executions)
        settle(executions, self.held)

    def answer(self, number):
        refused = VendorError("invalid_input", "No.", permanent=True)
        return [Done({"ok": True}), VendorError("vendor_error", "Later."), refused][number % 3]


@pytest.fixture
def batch(make_vendor, submit):
    vendor = make_vendor()
    restore_own(vendor.slug, [], [], [])
    batch = Batch(vendor)
    submit(3)
    batch.run(3)  # loads scripts and opens connections
    return batch


def cost(batch, submit, count):
    submit(count)
    with asking_the_store() as of_store, asking_redis() as of_redis:
        batch.run(count)
    return of_store, of_redis


def test_a_worker_needs_as_many_operations_for_many_jobs_as_for_few(batch, submit):
    (few, few_of_redis), (many, many_of_redis) = cost(batch, submit, FEW), cost(batch, submit, MANY)
    assert many == few
    assert len(many) <= STORE_OPERATIONS[connection.vendor]
    assert len(many_of_redis) == len(few_of_redis) == REDIS_ROUND_TRIPS


def test_accepting_a_job_is_one_write_and_one_redis_command(batch):
    with asking_the_store() as of_store, asking_redis() as of_redis:
        accept(Job.new(vendor=batch.vendor.slug, name="John Doe", input={}))
    assert [asked for asked in of_store if asked != "BEGIN"] in (["INSERT"], ["insert"])
    [hint] = of_redis
    assert script("add").sha in hint


def make_idle_vendors(number):
    Vendor.objects.bulk_create([Vendor(slug=f"v{n}", adapter="sync") for n in range(number)])
    catalogue.forget()


def idle_seconds(seconds):
    """Sweep for that many seconds with nothing to do; return the round trips to Redis."""
    sweeper = Sweeper("w")
    with asking_redis() as of_redis:
        for tick in range(int(seconds / TICK_SECONDS)):
            assert sweeper._is_leader()
            sweeper.sweep(tick * TICK_SECONDS)
    return of_redis


def test_an_idle_sweep_needs_no_more_round_trips_for_many_vendors(make_vendor):
    make_vendor()
    idle_seconds(TICK_SECONDS)  # loads scripts
    few = idle_seconds(60)
    make_idle_vendors(MANY)
    many = idle_seconds(60)
    assert len(many) <= len(few) + 2  # a first check of the new ones
    assert len(many) < 5 * 60


def test_an_idle_round_needs_no_round_trip():
    make_idle_vendors(FEW)
    worker = Worker(threads=1)
    for _ in range(3):  # rebuilds limiters, watches streams
        worker._round()
    with asking_redis() as of_redis:
        for _ in range(100):
            worker._round()
    assert len(of_redis) <= 2  # one vendor is checked every 5 s
