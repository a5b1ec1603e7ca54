"""Which vendors a worker takes from, and how it rebuilds limits that Redis lost."""

import pytest

from harness.limits import restore_own
from jobs.models import Stream
from jobs.queue import stream
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.stream import Settlement
from jobs.queue.take import take
from jobs.worker.held_entries import HeldEntries
from jobs.worker.schedule import Schedule
from jobs.worker.taker import Taker
from jobs.worker.threads.pool import Pool
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")


def vendor_with(slug, rate_limits=""):
    vendor = Vendor(slug=slug, adapter="sync", rate_limits=rate_limits)
    restore_own(slug, vendor.windows, [], [])
    return vendor


def test_a_vendor_with_a_new_limit_is_rebuilt_although_another_has_a_backlog():
    busy, changed = vendor_with("busy"), vendor_with("changed", "10/s")
    changed = Vendor(slug="changed", adapter="sync", rate_limits="10/s, 100/min")
    stream.add("busy", [str(number) for number in range(30)], Stream.JOBS)
    stream.add("changed", ["job"], Stream.JOBS)
    schedule, held = Schedule(), HeldEntries("w", Heartbeat("w"))
    schedule.serve({"busy": busy, "changed": changed})
    pool = Pool(12, lambda task: None, lambda: None)  # with room for 8 of one vendor
    taker = Taker("w", schedule, held, pool)
    slugs = set()
    for _ in range(5):
        for taken in taker.take():
            slugs.add(taken.vendor.slug)
            settlements = [
                Settlement(entry.job_id, entry, frees_slot=True) for entry in taken.entries
            ]
            stream.settle(taken.vendor.slug, settlements)
    assert slugs == {"busy", "changed"}


def test_a_vendor_whose_only_charge_was_refunded_is_not_stale():
    vendor = vendor_with("one", "10/min")
    stream.add("one", ["a", "b"], Stream.JOBS)
    [entry] = take(vendor, "w", 1).entries
    stream.settle("one", [stream.refused(entry, frees_slot=True)])
    assert not take(vendor, "w", 1).stale
