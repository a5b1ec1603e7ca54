"""Threads are shared fairly, so that a slow vendor can't take them all."""

from hashlib import sha256
from itertools import pairwise
from threading import Barrier, Event, get_ident

import pytest

from harness.waiting import wait_for
from jobs.worker.pool import Pool


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


def test_no_work_is_put_ahead_of_time_for_a_vendor_that_has_ended_nothing(hanging):
    pool = Pool(30, lambda _: hanging.wait(), lambda: None)
    assert pool.room("slow", ahead=True) == pool.room("slow") == 20


def test_as_much_work_is_put_ahead_of_time_as_the_vendor_ended_a_moment_ago():
    pool = Pool(3, lambda _: None, lambda: None)
    pool.put([("quick", "task")] * 50)
    assert pool.wait_until_idle(5)
    assert pool.room("quick", ahead=True) > pool.room("quick") == 2


def test_what_was_put_ahead_of_time_takes_no_threads_from_others(hanging):
    called = []
    pool = Pool(30, lambda vendor: called.append(vendor) or hanging.wait(), lambda: None)
    pool.put([("slow", "slow")] * 100)
    wait_for(lambda: len(called) == 20, "the vendor's share to be called")
    assert pool.room("other") == 7
    pool.put([("other", "other")] * 7)
    wait_for(lambda: called.count("other") == 7, "the other's calls")
    assert called.count("slow") == 20


def test_what_waits_too_long_is_taken_back_and_not_called(hanging):
    called = []
    pool = Pool(3, lambda task: called.append(task) or hanging.wait(), lambda: None)
    pool.put([("slow", number) for number in range(5)])
    wait_for(lambda: len(called) == 2, "the vendor's share to be called")
    late = wait_for(lambda: pool.take_back(0.05), "the others to be late")
    assert sorted(called + late) == [0, 1, 2, 3, 4]
    hanging.set()
    assert pool.wait_until_idle(5)
    assert len(called) == 2


def test_slow_calls_are_made_side_by_side():
    together = Barrier(20, timeout=5)
    pool = Pool(30, lambda _: together.wait(), lambda: None)
    pool.put([("slow", "task")] * 20)
    assert pool.wait_until_idle(5)
    assert not together.broken


def test_quick_calls_after_slow_ones_are_made_by_few_threads():
    together, threads = Barrier(20, timeout=5), []

    def call(task):
        if task == "slow":
            together.wait()
        else:
            sha256(b"x" * 8192)  # which lets other threads run, as a call does
            threads.append(get_ident())

    pool = Pool(30, call, lambda: None)
    pool.put([("acme", "slow")] * 20 + [("acme", "quick")] * 2000)
    assert pool.wait_until_idle(5)
    # Each may come once more, and some where others keep a thread from running for a while; if all
    # stayed, hundreds of times.
    assert sum(one != following for one, following in pairwise(threads)) < 150


def test_every_end_is_told():
    ended = []
    pool = Pool(2, lambda _: None, lambda: ended.append(1))
    pool.put([("a", 1), ("b", 2), ("a", 3)])
    wait_for(lambda: len(ended) == 3, "each end to be told")
