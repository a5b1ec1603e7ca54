"""A call is sent with a fresh permit, however long the worker, adapter or connection took."""

import time
from datetime import UTC, datetime
from threading import Event

import pytest

from harness.limits import restore_own
from jobs.models import Job
from jobs.queue import limiter, stream
from jobs.queue.keys import Keys
from jobs.queue.take import take
from jobs.worker.execute import execute
from jobs.worker.execution import Execution
from vendors.adapters.sync import SyncAdapter
from vendors.base import Done
from vendors.catalogue import catalogue

pytestmark = [pytest.mark.usefixtures("redis_client"), pytest.mark.django_db]


class SlowAdapter(SyncAdapter):
    """Takes longer to prepare its call than a permit lives."""

    sent_at = datetime.max.replace(tzinfo=UTC)

    def call(self, call):
        Event().wait(0.05)
        SlowAdapter.sent_at = datetime.now(UTC)
        return super().call(call)


@pytest.fixture
def execution(make_vendor, vendor_server, monkeypatch):
    monkeypatch.setattr(catalogue, "adapter", SlowAdapter)
    vendor = make_vendor(url=vendor_server.url, rate_limits="1/s")
    restore_own(vendor.slug, vendor.windows, [], [])
    job = Job(vendor=vendor.slug, input={"name": "John Doe"})
    stream.offer(vendor.slug, [job.pk])
    taken = take(vendor, "w", 1)
    [entry] = taken.entries
    job.started_at = limiter.moment(entry.charge)
    return Execution(vendor, entry, job, taken.asked_at)


def test_a_permit_that_expires_in_the_adapter_is_renewed_before_the_first_byte(
    execution, redis_client
):
    first = execution.entry.charge
    execute(execution)
    assert isinstance(execution.answer, Done)
    assert execution.job.started_at >= SlowAdapter.sent_at
    [start] = redis_client.lrange(Keys(execution.vendor.slug).log, 0, -1)
    assert int(start) > int(first)
    assert execution.entry.charge == start


def test_a_call_without_a_fresh_permit_is_not_sent(execution, redis_client, vendor_server):
    start_of_another_worker = str(time.time_ns() // 1000 + 500_000)
    redis_client.lpush(Keys(execution.vendor.slug).log, start_of_another_worker)
    execute(execution)
    assert execution.answer is None
    assert vendor_server.arrivals == []
