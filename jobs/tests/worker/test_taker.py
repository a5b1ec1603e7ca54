"""Whom a worker asks for work, and what it does about a vendor whose limits Redis has lost."""

import pytest

from jobs.models import Stream
from jobs.queue import limiter, stream
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.stream import Settlement
from jobs.queue.take import take
from jobs.worker.held_entries import Hands
from jobs.worker.schedule import Schedule
from jobs.worker.taker import Gatherer
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")


def vendor_with(slug, rate_limits=""):
    vendor = Vendor(slug=slug, adapter="sync", rate_limits=rate_limits)
    limiter.rebuild(slug, vendor.windows, [], [])
    return vendor


def test_a_vendor_with_a_new_limit_is_rebuilt_although_another_has_a_backlog():
    busy, changed = vendor_with("busy"), vendor_with("changed", "10/s")
    changed = Vendor(slug="changed", adapter="sync", rate_limits="10/s, 100/min")
    stream.add("busy", [str(number) for number in range(30)], Stream.JOBS)
    stream.add("changed", ["job"], Stream.JOBS)
    schedule, hands = Schedule(), Hands("w", Heartbeat("w"))
    schedule.know({"busy": busy, "changed": changed})
    gatherer = Gatherer("w", schedule, hands, lambda vendor: 8)
    vendors = set()
    for _ in range(5):
        for taken in gatherer.gather():
            vendors.add(taken.vendor.slug)
            stream.settle(
                taken.vendor.slug,
                [Settlement(entry.job_id, entry, frees_slot=True) for entry in taken.entries],
            )
    assert vendors == {"busy", "changed"}


def test_a_vendor_whose_only_charge_was_given_back_is_not_taken_for_one_that_lost_its_log():
    vendor = vendor_with("one", "10/min")
    stream.add("one", ["a", "b"], Stream.JOBS)
    [entry] = take(vendor, "w", 1).entries
    stream.settle("one", [stream.refused(entry, frees_slot=True)])
    assert not take(vendor, "w", 1).stale
