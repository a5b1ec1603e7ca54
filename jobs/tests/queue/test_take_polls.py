"""Polls are taken beside calls: at most half of the permits while calls wait, and no slot."""

from itertools import count

import pytest

from harness.limits import restore_own
from jobs.models import Stream
from jobs.queue import limiter, stream
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.keys import Keys
from jobs.queue.stream import Settlement
from jobs.queue.take import take
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("redis_client")

NUMBERS = count()
POLLED = {"poll": {"every": "1s"}}


def polled_vendor(**fields):
    fields.setdefault("definition", POLLED)
    vendor = Vendor(slug=f"polled{next(NUMBERS)}", adapter="sync", **fields)
    restore_own(vendor.slug, vendor.windows, [], [])
    return vendor


def queue(vendor, calls=0, polls=0):
    stream.add(vendor.slug, [f"job-{number}" for number in range(calls)], Stream.JOBS)
    stream.add_polls(vendor.slug, [(f"poll-{number}", 1000 + number) for number in range(polls)])


def kinds(taken):
    """Return how many calls and polls were taken."""
    polls = sum(entry.stream == Stream.POLLS for entry in taken.entries)
    return len(taken.entries) - polls, polls


@pytest.mark.parametrize(
    ("want", "calls", "polls", "taken"),
    [
        (10, 50, 50, [(5, 5), (5, 5)]),
        (3, 50, 50, [(2, 1), (1, 2), (2, 1)]),
        (1, 50, 50, [(1, 0), (0, 1), (1, 0), (0, 1)]),
        (10, 50, 2, [(8, 2), (10, 0)]),
        (10, 2, 50, [(2, 8), (0, 10)]),
        (1, 0, 50, [(0, 1), (0, 1)]),
        (1, 50, 0, [(1, 0), (1, 0)]),
        (4, 0, 0, [(0, 0)]),
    ],
)
def test_polls_get_half_of_the_permits_while_calls_wait(want, calls, polls, taken):
    vendor = polled_vendor()
    queue(vendor, calls, polls)
    assert [kinds(take(vendor, "w", want)) for _ in taken] == taken


def test_polls_are_taken_although_the_cap_is_reached(redis_client):
    vendor = polled_vendor(max_in_flight=2)
    queue(vendor, calls=3, polls=3)
    assert kinds(take(vendor, "w", 10)) == (2, 3)
    in_flight = redis_client.zrange(Keys(vendor.slug).in_flight, 0, -1)
    assert sorted(in_flight) == ["job-0", "job-1"]
    queue(vendor, polls=1)
    assert kinds(take(vendor, "w", 10)) == (0, 1)
    keys = Keys(vendor.slug)
    assert take(vendor, "w", 10).listen.keys() == {keys.freed, keys.polls}
    # A freed slot wakes the worker.
    stream.settle(vendor.slug, [Settlement("job-0", frees_slot=True)])
    assert redis_client.xlen(keys.freed) == 1
    assert kinds(take(vendor, "w", 10)) == (1, 0)


def test_a_free_slot_bounds_the_calls_and_leaves_the_rest_to_polls():
    vendor = polled_vendor(max_in_flight=1)
    queue(vendor, calls=5, polls=5)
    assert kinds(take(vendor, "w", 5)) == (1, 4)


def test_polls_are_charged_and_name_what_they_are_due_by(redis_client):
    vendor = polled_vendor(rate_limits="50/s")
    queue(vendor, calls=1, polls=1)
    entries = take(vendor, "w", 5).entries + take(vendor, "w", 5).entries
    log = redis_client.lrange(Keys(vendor.slug).log, 0, -1)
    assert sorted(entry.charge for entry in entries) == sorted(log)
    assert {(entry.job_id, entry.due) for entry in entries} <= {("job-0", ""), ("poll-0", "1000")}


def test_no_poll_is_taken_while_the_vendor_is_paused():
    vendor = polled_vendor()
    queue(vendor, polls=1)
    limiter.pause(vendor.slug, 60)
    assert kinds(take(vendor, "w", 5)) == (0, 0)


def test_a_poll_can_be_the_probe(redis_client):
    vendor = polled_vendor()
    queue(vendor, polls=3)
    state = Keys(vendor.slug).state
    redis_client.hset(state, "open_until", 1)
    taken = take(vendor, "w", 5)
    assert (kinds(taken), bool(taken.probe)) == ((0, 1), True)
    assert kinds(take(vendor, "w", 5)) == (0, 0)
    breaker.report(vendor, [Report("good", taken.probe, "poll-0")])
    assert redis_client.hget(state, "recovering") == "1"
    # Its call counts while it is under way, as other calls do.
    stream.settle(vendor.slug, [Settlement("poll-0", taken.entries[0])])
    assert [kinds(take(vendor, "w", 5)) for _ in range(2)] == [(0, 1), (0, 0)]


def test_a_probe_that_ends_unreported_leaves_the_next_to_another(redis_client):
    vendor = polled_vendor()
    queue(vendor, polls=2)
    redis_client.hset(Keys(vendor.slug).state, "open_until", 1)
    [entry] = take(vendor, "w", 5).entries
    stream.settle(vendor.slug, [stream.refused(entry, frees_slot=False)])
    assert take(vendor, "w", 5).probe


def test_the_streams_group_is_created_when_it_is_missing(redis_client):
    vendor = polled_vendor()
    queue(vendor, calls=1, polls=1)
    take(vendor, "w", 5)
    redis_client.delete(Keys(vendor.slug).polls)
    queue(vendor, polls=1)
    assert not take(vendor, "w", 5).stale
    queue(vendor, polls=1)
    assert len(stream.polls_in_line(vendor.slug, 10)) == 1


def test_a_vendor_that_is_not_polled_reads_no_polls(redis_client):
    vendor = polled_vendor(definition={})
    queue(vendor, calls=1, polls=1)
    taken = take(vendor, "w", 5)
    assert kinds(taken) == (1, 0)
    assert Keys(vendor.slug).polls not in taken.listen
