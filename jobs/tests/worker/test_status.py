"""What a worker reports of itself with each heartbeat."""

from types import SimpleNamespace

import pytest

from jobs.queue.workers import Order
from jobs.worker.status import RATE_HEARTBEATS, SLOWEST_HEARTBEATS, WorkerStatus


@pytest.fixture
def pool():
    return SimpleNamespace(busy=0)


@pytest.fixture
def recorder():
    found = SimpleNamespace(recorded=0, writes=[])
    found.slowest_ms = lambda: found.writes.pop() if found.writes else None
    return found


@pytest.fixture
def status(pool, recorder):
    return WorkerStatus("w", 4, pool, recorder, ["acme"])


def test_the_rate_is_that_of_the_last_minute(status, recorder):
    for _ in range(RATE_HEARTBEATS + 5):
        recorder.recorded += 2
        facts = status.facts()
    assert facts.per_minute == 2 * RATE_HEARTBEATS


def test_the_slowest_write_is_reported_for_a_while(status, recorder):
    recorder.writes = [7.0, 1500.0]
    assert [status.facts().store_ms for _ in range(SLOWEST_HEARTBEATS)][-1] == 1500.0
    assert status.facts().store_ms == 7.0
    assert status.facts().store_ms is None


def test_jobs_that_wait_for_a_thread_are_not_busy_threads(status, pool):
    pool.busy = 9
    assert (status.facts().busy, status.facts().threads, status.facts().only) == (4, 4, ("acme",))


def test_orders_are_obeyed(status):
    assert status.facts().state == ""
    for order, state in (
        (Order.DRAIN, "draining"),
        (Order.RESUME, ""),
        (Order.STOP, "stopping"),
        (Order.RESUME, "stopping"),
    ):
        status.obey(order)
        assert status.facts().state == state
