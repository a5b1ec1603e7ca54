"""Threads are shared fairly, so that a slow vendor can't take them all."""

from threading import Event

import pytest

from jobs.pool import Pool
from tests.waiting import wait_for


@pytest.fixture
def hanging():
    release = Event()
    yield release
    release.set()


def fill(pool, vendor):
    count = 0
    while pool.room(vendor):
        pool.put([(vendor, vendor)])
        count += 1
    return count


def test_a_vendor_alone_gets_most_threads(hanging):
    pool = Pool(30, lambda _: hanging.wait(), lambda: None)
    assert fill(pool, "slow") == 20


def test_vendors_that_hang_leave_threads_for_the_next(hanging):
    pool = Pool(32, lambda _: hanging.wait(), lambda: None)
    assert [fill(pool, vendor) > 0 for vendor in ("a", "b", "c")] == [True, True, True]


def test_room_can_be_filled_at_once_as_well_as_one_by_one(hanging):
    pool = Pool(30, lambda _: hanging.wait(), lambda: None)
    room = pool.room("slow")
    for _ in range(room):
        pool.put([("slow", "task")])
    assert (room, pool.room("slow")) == (20, 0)


def test_one_thread_serves_everybody_in_turn():
    done = []
    pool = Pool(1, done.append, lambda: None)
    pool.put([("a", 1)])
    wait_for(lambda: pool.room("b"), "the thread to be free")
    pool.put([("b", 2)])
    assert pool.wait_until_idle(5)
    assert done == [1, 2]


def test_waiting_for_a_hanging_call_ends_with_the_grace_period(hanging):
    pool = Pool(1, lambda _: hanging.wait(), lambda: None)
    pool.put([("slow", "task")])
    assert not pool.wait_until_idle(0.05)
