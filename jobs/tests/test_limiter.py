"""No window is ever broken: take, renew and rebuild against a real server."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from jobs import limiter, stream
from jobs.keys import Keys
from jobs.models import Attempt, Status, Stream
from jobs.rebuild import rebuild
from jobs.redis import commands
from jobs.stream import Again, Settlement
from jobs.take import take
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("redis_client")

NUMBERS = count()


def vendor_with(rate_limits="", **fields):
    vendor = Vendor(slug=f"acme{next(NUMBERS)}", adapter="sync", rate_limits=rate_limits, **fields)
    limiter.rebuild(vendor.slug, vendor.windows, [], [])
    return vendor


def queue(vendor, number, to=Stream.JOBS):
    stream.add(vendor.slug, [f"{to}-{n}" for n in range(number)], to)


def take_all(vendor, number, want=50, consumer="w", charges=None):
    """Take until that many entries are there, also by others who share `charges`; returns them in microseconds."""
    charges = [] if charges is None else charges
    end = time.monotonic() + 30
    while len(charges) < number and time.monotonic() < end:
        taken = take(vendor, consumer, want)
        charges += [int(entry.charge) for entry in taken.entries]
        time.sleep(min(taken.wait_seconds, 0.2))  # as a worker does
    return sorted(charges)


def worst(charges, seconds):
    """Return the most charges in any closed window of that length, wherever it begins."""
    return max(sum(1 for other in charges if charge <= other <= charge + seconds * 1_000_000) for charge in charges)


def test_no_window_holds_more_than_its_limit():
    vendor = vendor_with("20/s")
    queue(vendor, 60)
    assert worst(take_all(vendor, 60), 1) == 20


def test_several_windows_hold_at_once():
    vendor = vendor_with("8/s, 12/2s".replace("2s", "2 s"))
    queue(vendor, 26)
    charges = take_all(vendor, 26)
    assert (worst(charges, 1), worst(charges, 2)) == (8, 12)


def test_workers_that_race_share_one_limit():
    vendor = vendor_with("40/s")
    queue(vendor, 100)
    charges = []
    with ThreadPoolExecutor(4) as threads:
        for number in range(4):
            threads.submit(take_all, vendor, 100, consumer=f"w{number}", charges=charges)
    assert len(set(charges)) == 100
    assert worst(charges, 1) == 40


def test_starts_are_paced_with_one_gap_of_catch_up():
    vendor = vendor_with("20/s")
    queue(vendor, 10)
    charges = take_all(vendor, 10)
    gaps = [second - first for first, second in zip(charges[1:], charges[2:], strict=False)]
    assert min(gaps) > 45_000
    assert charges[1] - charges[0] < 1000


def test_a_refused_entry_gives_its_permit_back():
    vendor = vendor_with("2/min")
    queue(vendor, 3)
    first = take(vendor, "w", 2)
    assert len(first.entries) == 2
    stream.settle(vendor.slug, [stream.refused(first.entries[0], releases=True)])
    commands().hset(Keys(vendor.slug).gate, "pace", 0)  # a minute's gap is no matter for a test
    assert len(take(vendor, "w", 2).entries) == 1


def test_without_limits_everything_is_taken_again_first():
    vendor = vendor_with()
    queue(vendor, 3)
    queue(vendor, 2, Stream.AGAIN)
    taken = take(vendor, "w", 4)
    assert [entry.job_id for entry in taken.entries] == ["again-0", "again-1", "jobs-0", "jobs-1"]
    assert [entry.charge for entry in taken.entries] == [""] * 4


def test_an_entry_holds_a_version_and_the_job_id_and_nothing_else(redis_client):
    vendor = vendor_with()
    stream.offer(vendor.slug, ["some-id"])
    [(_, fields)] = redis_client.xrange(Keys(vendor.slug).jobs)
    assert fields == {"v": "1", "job": "some-id"}


def test_a_cap_on_jobs_in_flight_holds_until_one_is_settled(redis_client):
    vendor = vendor_with(max_in_flight=2)
    queue(vendor, 3)
    taken = take(vendor, "w", 10)
    assert len(taken.entries) == 2
    full = take(vendor, "w", 10)
    [(freed, end)] = full.listen.items()
    assert (full.entries, freed) == ([], Keys(vendor.slug).freed)
    stream.settle(vendor.slug, [Settlement(taken.entries[0].job_id, taken.entries[0], releases=True)])
    assert redis_client.xread({freed: end})
    assert len(take(vendor, "w", 10).entries) == 1


def test_a_job_that_waits_for_its_callback_keeps_its_slot():
    vendor = vendor_with(max_in_flight=1)
    queue(vendor, 2)
    [entry] = take(vendor, "w", 1).entries
    stream.settle(vendor.slug, [Settlement(entry.job_id, entry)])
    assert take(vendor, "w", 1).entries == []
    stream.release(vendor.slug, [entry.job_id])
    assert len(take(vendor, "w", 1).entries) == 1


def test_a_hold_stops_every_worker_at_once():
    vendor = vendor_with()
    queue(vendor, 1)
    limiter.hold(vendor.slug, 0.2)
    held = take(vendor, "w", 1)
    assert held.entries == []
    assert 0 < held.wait_seconds <= 0.2


def test_a_drained_stream_says_where_it_ends(redis_client):
    vendor = vendor_with()
    queue(vendor, 1)
    ends = take(vendor, "w", 5).listen
    assert not redis_client.xread(ends)
    queue(vendor, 1)
    assert redis_client.xread(ends)


def test_nothing_is_permitted_after_redis_lost_its_data(redis_client):
    vendor = vendor_with("5/s")
    redis_client.flushall()
    queue(vendor, 1)
    assert take(vendor, "w", 1).stale


def test_a_longer_memory_than_the_log_has_is_asked_of_the_rows():
    vendor = vendor_with("5/s")
    assert not take(vendor, "w", 1).stale
    assert take(Vendor(slug=vendor.slug, adapter="sync", rate_limits="50/min"), "w", 1).stale
    assert not take(Vendor(slug=vendor.slug, adapter="sync", rate_limits="3/s"), "w", 1).stale


@pytest.mark.django_db
def test_the_rows_make_the_log_and_the_slots_true_again(redis_client, make_vendor, make_job):
    vendor = make_vendor(rate_limits="5/min", max_in_flight=3)
    now = datetime.now(UTC)
    for seconds in (1, 2, 70):
        at = now - timedelta(seconds=seconds)
        Attempt.objects.create(job="j", vendor="acme", run=1, number=1, worker="w", started_at=at, ended_at=at, outcome="done")
    make_job(status=Status.WAITING)
    running = make_job(status=Status.PROCESSING)
    make_job(status=Status.QUEUED)
    assert rebuild([vendor], now) == [vendor]
    assert redis_client.llen(Keys("acme").log) == 3
    assert redis_client.zcard(Keys("acme").flight) == 2
    assert running.pk in redis_client.zrange(Keys("acme").flight, 0, -1)


def test_a_permit_that_came_late_is_traded_for_a_fresh_one(redis_client):
    vendor = vendor_with("50/s")
    queue(vendor, 1)
    [entry] = take(vendor, "w", 1).entries
    renewal = limiter.renew(vendor.slug, vendor.windows, entry.charge)
    assert redis_client.lrange(Keys(vendor.slug).log, 0, -1) == [renewal.charge]


def test_a_late_permit_waits_where_the_window_is_full(redis_client):
    vendor = vendor_with("1/s")
    queue(vendor, 2)
    [entry] = take(vendor, "w", 1).entries
    commands().hset(Keys(vendor.slug).gate, "pace", 0)
    commands().lpush(Keys(vendor.slug).log, str(int(entry.charge) + 10))  # somebody else's start
    renewal = limiter.renew(vendor.slug, vendor.windows, entry.charge)
    assert renewal.charge == ""
    assert 0.5 < renewal.wait_seconds <= 1.01


def test_an_entry_that_is_handed_back_goes_to_the_front():
    vendor = vendor_with()
    queue(vendor, 2)
    [entry] = take(vendor, "w", 1).entries
    back = Settlement(entry.job_id, entry, releases=True, again=Again.IF_PENDING)
    stream.settle(vendor.slug, [back])
    stream.settle(vendor.slug, [back])  # once only: the entry is no longer pending
    assert [e.job_id for e in take(vendor, "other", 5).entries] == ["jobs-0", "jobs-1"]


def test_settling_drops_the_entry_and_can_add_a_fresh_one(redis_client):
    vendor = vendor_with()
    queue(vendor, 1)
    [entry] = take(vendor, "w", 1).entries
    stream.settle(vendor.slug, [Settlement(entry.job_id, entry, releases=True, again=Again.ALWAYS)])
    assert redis_client.xlen(Keys(vendor.slug).jobs) == 0
    assert [e.stream for e in take(vendor, "w", 5).entries] == [Stream.AGAIN]


def test_a_slow_store_does_not_cost_places_in_the_pace():
    vendor = vendor_with("20/s")
    queue(vendor, 10)
    [entry, *_] = take(vendor, "w", 1).entries
    before = float(commands().hget(Keys(vendor.slug).gate, "pace"))
    renewal = limiter.renew(vendor.slug, vendor.windows, entry.charge)
    after = float(commands().hget(Keys(vendor.slug).gate, "pace"))
    assert renewal.charge
    assert after - before < 50_000


def test_a_longer_window_than_the_log_has_lived_is_asked_of_the_rows():
    vendor = vendor_with("5/s")
    assert take(Vendor(slug=vendor.slug, adapter="sync", rate_limits="5/min"), "w", 1).stale


@pytest.mark.parametrize("stream_name", ["jobs", "again"])
def test_a_stream_that_was_dropped_alone_is_made_again(redis_client, stream_name):
    vendor = vendor_with()
    redis_client.delete(getattr(Keys(vendor.slug), stream_name))
    assert take(vendor, "w", 1).stale
    limiter.rebuild(vendor.slug, [], [], [])
    queue(vendor, 1)
    assert len(take(vendor, "w", 1).entries) == 1
