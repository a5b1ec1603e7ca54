"""Threads are shared fairly, so that a slow vendor can't take them all."""

from hashlib import sha256
from itertools import pairwise
from threading import Barrier, Event, get_ident

import pytest

from harness.waiting import wait_for
from jobs.worker.threads.pool import Pool


@pytest.fixture
def hanging():
    release = Event()
    yield release
    release.set()


@pytest.fixture
def hanging_pool(hanging):
    """Return a pool of that many threads in which every call hangs."""
    return lambda threads: Pool(threads, lambda _: hanging.wait(), lambda: None)


def fill(pool, slug):
    """Put tasks one by one while there is room, and return how many."""
    count = 0
    while pool.room(slug):
        pool.put([(slug, "task")])
        count += 1
    return count


def test_a_vendor_alone_gets_two_thirds_of_the_threads(hanging_pool):
    assert fill(hanging_pool(30), "slow") == 20


def test_vendors_that_hang_leave_threads_for_the_next(hanging_pool):
    pool = hanging_pool(32)
    assert [fill(pool, slug) > 0 for slug in ("a", "b", "c")] == [True, True, True]


def test_room_can_be_filled_one_by_one(hanging_pool):
    pool = hanging_pool(30)
    room = pool.room("slow")
    for _ in range(room):
        pool.put([("slow", "task")])
    assert (room, pool.room("slow")) == (20, 0)


def test_one_thread_serves_vendors_in_turn():
    done = []
    pool = Pool(1, done.append, lambda: None)
    pool.put([("a", 1)])
    wait_for(lambda: pool.room("b"), "the thread to be free")
    pool.put([("b", 2)])
    assert pool.wait_until_idle(5)
    assert done == [1, 2]


def test_waiting_for_idle_ends_with_the_timeout(hanging_pool):
    pool = hanging_pool(1)
    pool.put([("slow", "task")])
    assert not pool.wait_until_idle(0.05)


def test_there_is_no_room_ahead_for_a_vendor_that_ended_no_calls(hanging_pool):
    pool = hanging_pool(30)
    assert pool.room("slow", ahead=True) == pool.room("slow") == 20


def test_there_is_room_ahead_for_a_vendor_that_ended_calls_recently():
    pool = Pool(3, lambda _: None, lambda: None)
    pool.put([("quick", "task")] * 50)
    assert pool.wait_until_idle(5)
    assert pool.room("quick", ahead=True) > pool.room("quick") == 2


def test_tasks_put_ahead_take_no_threads_from_other_vendors(hanging):
    called = []
    pool = Pool(30, lambda slug: called.append(slug) or hanging.wait(), lambda: None)
    pool.put([("slow", "slow")] * 100)
    wait_for(lambda: len(called) == 20, "the vendor's share to be called")
    assert pool.room("other") == 7
    pool.put([("other", "other")] * 7)
    wait_for(lambda: called.count("other") == 7, "the other's calls")
    assert called.count("slow") == 20


def test_tasks_that_waited_too_long_are_removed_and_not_called(hanging):
    called = []
    pool = Pool(3, lambda task: called.append(task) or hanging.wait(), lambda: None)
    pool.put([("slow", number) for number in range(5)])
    wait_for(lambda: len(called) == 2, "the vendor's share to be called")
    removed = wait_for(lambda: pool.remove_waiting(0.05), "the others to be late")
    assert sorted(called + removed) == [0, 1, 2, 3, 4]
    hanging.set()
    assert pool.wait_until_idle(5)
    assert len(called) == 2


def test_slow_calls_are_made_concurrently():
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
            sha256(b"x" * 8192)  # lets other threads run, as a call does
            threads.append(get_ident())

    pool = Pool(30, call, lambda: None)
    pool.put([("acme", "slow")] * 20 + [("acme", "quick")] * 2000)
    assert pool.wait_until_idle(5)
    # Each thread may make one more call, and some while others wait for a core. If all 20 stayed
    # awake, there would be hundreds of switches.
    assert sum(one != following for one, following in pairwise(threads)) < 150


def test_every_end_is_reported():
    ended = []
    pool = Pool(2, lambda _: None, lambda: ended.append(1))
    pool.put([("a", 1), ("b", 2), ("a", 3)])
    wait_for(lambda: len(ended) == 3, "each end to be reported")
