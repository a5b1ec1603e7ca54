"""What a batch, a request and an idle worker ask of the store and of Redis: counted, and the same
for many jobs as for few.
"""

import pytest
from django.db import connection

from jobs.api.intake import accept
from jobs.models import Job
from jobs.queue import limiter
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.take import take
from jobs.recovery.sweep import TICK_SECONDS, Sweeper
from jobs.worker.claim import Starter
from jobs.worker.execute import Ended
from jobs.worker.held_entries import Hands
from jobs.worker.record import Recorder
from jobs.worker.worker import Worker
from tests.counting import asking_redis, asking_the_store
from vendors.base import Done, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("transactional_db", "redis_client")

FEW, MANY = 10, 100
OF_THE_STORE = {"sqlite": 8, "mongodb": 5}  # with each BEGIN, where there is one
OF_REDIS = 4  # take, report, settle, counts


class Batch:
    """What a worker does with a batch of jobs, without its threads."""

    def __init__(self, vendor):
        self.vendor = vendor
        self.hands = Hands("w", Heartbeat("w"))
        self.starter = Starter("w", self.hands)
        self.recorder = Recorder(self.hands.settle)

    def run(self, count):
        started = self.starter.start([take(self.vendor, "w", count)])
        assert len(started) == count
        self.recorder.record(
            [Ended(one, self.answer(number)) for number, one in enumerate(started)]
        )

    def answer(self, number):
        refused = VendorError("vendor_refused", "No.", permanent=True)
        return [Done({"ok": True}), VendorError("vendor_error", "Later."), refused][number % 3]


@pytest.fixture
def batch(make_vendor, submit):
    vendor = make_vendor()
    limiter.rebuild(vendor.slug, [], [], [])
    batch = Batch(vendor)
    submit(3)
    batch.run(3)  # so that scripts are loaded, connections open
    return batch


def cost(batch, submit, count):
    submit(count)
    with asking_the_store() as of_the_store, asking_redis() as of_redis:
        batch.run(count)
    return of_the_store, of_redis


def test_a_batch_asks_no_more_for_many_jobs_than_for_few(batch, submit):
    (few, few_of_redis), (many, many_of_redis) = cost(batch, submit, FEW), cost(batch, submit, MANY)
    assert many == few
    assert len(many) <= OF_THE_STORE[connection.vendor]
    assert len(many_of_redis) == len(few_of_redis) == OF_REDIS


def test_a_job_is_accepted_with_one_write_and_one_hint(batch):
    with asking_the_store() as of_the_store, asking_redis() as of_redis:
        accept(Job(vendor=batch.vendor.slug, name="John Doe", input={}))
    assert [asked for asked in of_the_store if asked != "BEGIN"] in (["INSERT"], ["insert"])
    [hint] = of_redis
    assert hint.count("XADD") == 1


def idle_seconds(seconds):
    """Let the sweep pass that many seconds with nothing to do, and return what it asks Redis
    within.
    """
    sweeper = Sweeper("w")
    with asking_redis() as of_redis:
        for tick in range(int(seconds / TICK_SECONDS)):
            assert sweeper._is_leader()
            sweeper.sweep(tick * TICK_SECONDS)
    return of_redis


def test_a_sweep_with_nothing_to_do_asks_redis_no_more_for_many_vendors(make_vendor):
    make_vendor()
    idle_seconds(TICK_SECONDS)  # scripts are loaded
    few = idle_seconds(60)
    Vendor.objects.bulk_create(
        [Vendor(slug=f"v{number}", adapter="sync") for number in range(MANY)]
    )
    catalogue.forget()
    many = idle_seconds(60)
    assert len(many) <= len(few) + 2  # a first look at new ones
    assert len(many) < 5 * 60


def test_a_round_with_nothing_to_do_asks_redis_nothing():
    Vendor.objects.bulk_create([Vendor(slug=f"v{number}", adapter="sync") for number in range(FEW)])
    catalogue.forget()
    worker = Worker(threads=1)
    for _ in range(3):  # limits are made anew, streams watched
        worker._round()
    with asking_redis() as of_redis:
        for _ in range(100):
            worker._round()
    assert len(of_redis) <= 2  # every 5 s one vendor is asked, for the sake of all
