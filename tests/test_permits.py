"""A call is sent with a fresh permit, however long the worker, the adapter or the connection took
before.
"""

import time
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Event

import pytest

from jobs.models import Job
from jobs.queue import limiter, stream
from jobs.queue.keys import Keys
from jobs.queue.take import take
from jobs.worker.execute import Caller, Ended, Started
from vendors.adapters.sync import SyncAdapter
from vendors.base import Done
from vendors.catalogue import catalogue

pytestmark = [pytest.mark.usefixtures("redis_client"), pytest.mark.django_db]


class SlowToSend(SyncAdapter):
    """Takes longer to prepare its call than a permit lives."""

    sent_at = datetime.max.replace(tzinfo=UTC)

    def call(self, call):
        Event().wait(0.05)
        SlowToSend.sent_at = datetime.now(UTC)
        return super().call(call)


@pytest.fixture
def started(make_vendor, vendor_server):
    vendor = make_vendor(url=vendor_server.url, rate_limits="1/s")
    limiter.rebuild(vendor.slug, vendor.windows, [], [])
    job = Job(vendor=vendor.slug, input={"name": "John Doe"})
    stream.offer(vendor.slug, [job.pk])
    taken = take(vendor, "w", 1)
    [entry] = taken.entries
    job.started_at = limiter.moment(entry.charge)
    return Started(vendor, entry, job, taken.asked_at)


def call(started: Started) -> Ended:
    ended: SimpleQueue[Ended | None] = SimpleQueue()
    Caller(ended).call(started)
    answer = ended.get()
    assert answer
    return answer


def test_a_permit_that_the_adapter_let_grow_old_is_traded_before_the_first_byte(
    started, redis_client, monkeypatch
):
    monkeypatch.setattr(catalogue, "adapter", SlowToSend)
    assert isinstance(call(started).answer, Done)
    assert started.job.started_at >= SlowToSend.sent_at
    [start] = redis_client.lrange(Keys(started.vendor.slug).log, 0, -1)
    assert int(start) > int(started.entry.charge)


def test_a_call_without_a_fresh_permit_is_not_sent_and_is_no_attempt(
    started, redis_client, monkeypatch, vendor_server
):
    monkeypatch.setattr(catalogue, "adapter", SlowToSend)
    redis_client.lpush(
        Keys(started.vendor.slug).log, str(time.time_ns() // 1000 + 500_000)
    )  # another worker's start
    assert call(started).answer is None
    assert vendor_server.arrivals == []
