"""take and renew never break a window. Runs against a real Redis."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, count

import pytest

from harness.limits import restore_own
from jobs.models import Stream
from jobs.queue import limiter, stream
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.queue.stream import Requeue, Settlement
from jobs.queue.take import take
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("redis_client")

NUMBERS = count()


def vendor_with(rate_limits="", **fields):
    vendor = Vendor(slug=f"acme{next(NUMBERS)}", adapter="sync", rate_limits=rate_limits, **fields)
    restore_own(vendor.slug, vendor.windows, [], [])
    return vendor


def queue(vendor, number, to=Stream.JOBS):
    stream.add(vendor.slug, [f"{to}-{n}" for n in range(number)], to)


def take_all(vendor, number, want=50, consumer="w", charges=None):
    """Take until `charges`, which other threads may share, holds that many; return it in order."""
    charges = [] if charges is None else charges
    end = time.monotonic() + 30
    while len(charges) < number and time.monotonic() < end:
        taken = take(vendor, consumer, want)
        charges += [int(entry.charge) for entry in taken.entries]
        time.sleep(min(taken.wait_seconds, 0.2))  # as a worker does
    return sorted(charges)


def max_in_window(charges, seconds):
    """Return the highest number of charges in any closed window of that length."""
    return max(
        sum(1 for other in charges if charge <= other <= charge + seconds * 1_000_000)
        for charge in charges
    )


def test_no_window_holds_more_than_its_limit():
    vendor = vendor_with("20/s")
    queue(vendor, 60)
    assert 10 < max_in_window(take_all(vendor, 60), 1) <= 20  # a busy machine uses less


def test_the_arrival_margin_lengthens_the_window():
    vendor = vendor_with("20/s", arrival_margin_ms=500)
    queue(vendor, 40)
    assert 10 < max_in_window(take_all(vendor, 40), 1.5) <= 20


def test_without_a_margin_starts_use_the_whole_limit():
    vendor = vendor_with("2/s", arrival_margin_ms=0)
    queue(vendor, 3)
    first, _, third = take_all(vendor, 3)
    assert third - first < 1_050_000


def test_several_windows_hold_at_once():
    vendor = vendor_with("8/s, 12/2s".replace("2s", "2 s"))
    queue(vendor, 26)
    charges = take_all(vendor, 26)
    assert 4 < max_in_window(charges, 1) <= 8 < max_in_window(charges, 2) <= 12


def test_concurrent_workers_share_one_limit():
    vendor = vendor_with("40/s")
    queue(vendor, 100)
    charges = []
    with ThreadPoolExecutor(4) as threads:
        for number in range(4):
            threads.submit(take_all, vendor, 100, consumer=f"w{number}", charges=charges)
    assert len(set(charges)) == 100
    assert 20 < max_in_window(charges, 1) <= 40


def test_starts_are_paced_with_one_gap_of_catch_up():
    vendor = vendor_with("20/s")
    queue(vendor, 10)
    charges = take_all(vendor, 10)
    for (number, earlier), (later_number, later) in combinations(enumerate(charges), 2):
        assert later - earlier > (later_number - number - 1) * 45_000
    assert charges[1] - charges[0] < 1000


def test_a_refused_entry_refunds_its_permit():
    vendor = vendor_with("2/min")
    queue(vendor, 3)
    first = take(vendor, "w", 2)
    assert len(first.entries) == 2
    stream.settle(vendor.slug, [stream.refused(first.entries[0], frees_slot=True)])
    commands().hset(Keys(vendor.slug).state, "pace", 0)  # skip the gap of a minute
    assert len(take(vendor, "w", 2).entries) == 1


def test_without_limits_all_entries_are_taken_and_retries_first():
    vendor = vendor_with()
    queue(vendor, 3)
    queue(vendor, 2, Stream.RETRIES)
    taken = take(vendor, "w", 4)
    assert [entry.job_id for entry in taken.entries] == [
        "retries-0",
        "retries-1",
        "jobs-0",
        "jobs-1",
    ]
    assert [entry.charge for entry in taken.entries] == [""] * 4


def test_an_entry_holds_a_version_and_the_job_id_only(redis_client):
    vendor = vendor_with()
    stream.offer(vendor.slug, ["some-id"])
    [(_, fields)] = redis_client.xrange(Keys(vendor.slug).jobs)
    assert fields == {"v": "1", "job": "some-id"}


def test_max_in_flight_stops_takes_until_a_job_is_settled(redis_client):
    vendor = vendor_with(max_in_flight=2)
    queue(vendor, 3)
    taken = take(vendor, "w", 10)
    assert len(taken.entries) == 2
    full = take(vendor, "w", 10)
    [(freed, end)] = full.listen.items()
    assert (full.entries, freed) == ([], Keys(vendor.slug).freed)
    stream.settle(
        vendor.slug, [Settlement(taken.entries[0].job_id, taken.entries[0], frees_slot=True)]
    )
    assert redis_client.xread({freed: end})
    assert len(take(vendor, "w", 10).entries) == 1


def test_a_job_waiting_for_its_callback_keeps_its_slot():
    vendor = vendor_with(max_in_flight=1)
    queue(vendor, 2)
    [entry] = take(vendor, "w", 1).entries
    stream.settle(vendor.slug, [Settlement(entry.job_id, entry)])
    assert take(vendor, "w", 1).entries == []
    stream.settle_final(vendor.slug, [entry.job_id])
    assert len(take(vendor, "w", 1).entries) == 1


def test_a_pause_stops_every_worker_at_once():
    vendor = vendor_with()
    queue(vendor, 1)
    limiter.pause(vendor.slug, 5)
    paused = take(vendor, "w", 1)
    assert paused.entries == []
    assert 0 < paused.wait_seconds <= 5


def test_taking_all_entries_returns_the_streams_to_listen_to(redis_client):
    vendor = vendor_with()
    queue(vendor, 1)
    ends = take(vendor, "w", 5).listen
    assert not redis_client.xread(ends)
    queue(vendor, 1)
    assert redis_client.xread(ends)


def test_renew_replaces_a_late_permit(redis_client):
    vendor = vendor_with("50/s")
    queue(vendor, 1)
    [entry] = take(vendor, "w", 1).entries
    renewal = limiter.renew(vendor, entry.job_id, entry.charge)
    assert redis_client.lrange(Keys(vendor.slug).log, 0, -1) == [renewal.charge]


def test_renew_waits_while_the_window_is_full(redis_client):
    vendor = vendor_with("1/s")
    queue(vendor, 2)
    [entry] = take(vendor, "w", 1).entries
    commands().hset(Keys(vendor.slug).state, "pace", 0)
    commands().lpush(Keys(vendor.slug).log, str(int(entry.charge) + 10))  # another worker's start
    renewal = limiter.renew(vendor, entry.job_id, entry.charge)
    assert renewal.charge == ""
    assert 0.5 < renewal.wait_seconds <= 1.08


def test_a_requeued_entry_goes_to_the_front():
    vendor = vendor_with()
    queue(vendor, 2)
    [entry] = take(vendor, "w", 1).entries
    requeue = Settlement(entry.job_id, entry, frees_slot=True, requeue=Requeue.IF_PENDING)
    stream.settle(vendor.slug, [requeue])
    stream.settle(vendor.slug, [requeue])  # no effect: the entry is no longer pending
    assert [e.job_id for e in take(vendor, "other", 5).entries] == ["jobs-0", "jobs-1"]


def test_settling_drops_the_entry_and_can_add_a_fresh_one(redis_client):
    vendor = vendor_with()
    queue(vendor, 1)
    [entry] = take(vendor, "w", 1).entries
    stream.settle(
        vendor.slug, [Settlement(entry.job_id, entry, frees_slot=True, requeue=Requeue.ALWAYS)]
    )
    assert redis_client.xlen(Keys(vendor.slug).jobs) == 0
    assert [e.stream for e in take(vendor, "w", 5).entries] == [Stream.RETRIES]


def test_a_renewed_permit_keeps_its_place_in_the_pace():
    vendor = vendor_with("5/s")
    queue(vendor, 3)
    entries = take(vendor, "w", 3).entries
    assert len(entries) == 2
    due = commands().hget(Keys(vendor.slug).state, "pace")
    assert all(limiter.renew(vendor, entry.job_id, entry.charge).granted for entry in entries)
    assert commands().hget(Keys(vendor.slug).state, "pace") == due


def test_a_raised_limit_applies_at_once():
    slow = vendor_with("2/min")
    queue(slow, 4)
    take(slow, "w", 2)
    quick = Vendor(slug=slow.slug, adapter="sync", rate_limits="20/s")
    restore_own(slow.slug, quick.windows, [], [])
    assert take(quick, "w", 2).wait_seconds <= 0.06
    assert len(take_all(quick, 2)) == 2


def test_a_refunded_permit_makes_no_room_under_a_lowered_limit():
    lower = Vendor(slug=f"acme{next(NUMBERS)}", adapter="sync", rate_limits="2/min")
    now_us = time.time_ns() // 1000
    restore_own(lower.slug, lower.windows, [now_us - 20_000_000, now_us - 30_000_000], [])
    queue(lower, 2)
    higher = Vendor(slug=lower.slug, adapter="sync", rate_limits="2/s")
    [entry] = take(higher, "w", 1).entries
    stream.settle(lower.slug, [stream.refused(entry, frees_slot=True)])
    commands().hset(Keys(lower.slug).state, "pace", 0)
    assert take(lower, "w", 1).entries == []
