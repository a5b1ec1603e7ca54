"""How what a process has counted reaches the store, whatever goes wrong."""

import os
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread
from unittest.mock import patch

import pytest
from django.db import OperationalError

from jobs import tallies
from jobs.models import Tally
from jobs.queue.clock import redis_clock
from jobs.storage.store import writing
from jobs.tallies import read
from jobs.tallies.fold import CHUNK, Folder
from jobs.tallies.memory import Memory, memory
from jobs.tallies.writer import writer

pytestmark = pytest.mark.usefixtures("transactional_db")

NOW = redis_clock.now().replace(second=0, microsecond=0)


@pytest.fixture
def after(monkeypatch):
    """Set Redis' clock to so many minutes later."""

    def after(minutes):
        moment = NOW + timedelta(minutes=minutes)
        monkeypatch.setattr(redis_clock, "now", lambda: moment)
        read.forget()

    after(0)
    return after


def flush_in_vain(*, writes):
    """Flush while the store does not answer. `writes`: although it has written."""

    @contextmanager
    def away():
        if writes:
            with writing():
                yield
        raise OperationalError

    with patch("jobs.tallies.writer.writing", away), pytest.raises(OperationalError):
        tallies.flush()


def counted_in(minutes):
    """Return how many events were counted in each of so many minutes, from NOW on."""
    points = read.series(NOW, NOW + timedelta(minutes=minutes), timedelta(minutes=1), "acme")
    return [point.counts.events["takeovers"] for point in points]


def test_a_row_is_overwritten_by_its_process(after):
    tallies.count("takeovers", "acme")
    tallies.flush()
    tallies.count("takeovers", "acme", 2)
    tallies.flush()
    tallies.flush()
    assert Tally.objects.count() == 1
    assert counted_in(1) == [3]


@pytest.mark.parametrize("writes", [False, True])
def test_what_was_not_written_in_two_minutes_counts_in_the_current_one(after, writes):
    tallies.count("takeovers", "acme")
    tallies.flush()
    tallies.count("takeovers", "acme", 2)
    flush_in_vain(writes=writes)
    after(3)
    tallies.count("takeovers", "acme", 4)
    flush_in_vain(writes=False)
    tallies.flush()
    assert counted_in(4) == ([3, 0, 0, 4] if writes else [1, 0, 0, 6])
    after(9)
    tallies.flush()
    assert memory.rows == {}


@pytest.mark.parametrize("writes", [False, True])
def test_a_write_that_failed_is_repeated(after, writes):
    tallies.count("takeovers", "acme")
    flush_in_vain(writes=writes)
    after(2)
    tallies.flush()
    assert counted_in(3) == [1, 0, 0]


def test_what_was_flushed_survives_kill_9_and_flushall(after, redis_client):
    tallies.count("takeovers", "acme")
    tallies.flush()
    tallies.count("takeovers", "acme", 2)
    memory.reset()  # no process is there to write what it had in mind
    redis_client.flushall()
    tallies.count("takeovers", "acme", 4)
    tallies.flush()
    assert counted_in(1) == [5]
    assert read.totals()["acme"].events == {"takeovers": 5}


@pytest.mark.parametrize("is_new", [False, True])
def test_nothing_is_lost_when_the_clock_goes_back(after, is_new):
    tallies.count("takeovers", "acme")
    tallies.flush()
    after(4)
    tallies.flush()
    after(15)
    while Folder().step() >= CHUNK:
        pass
    tallies.count("takeovers", "acme", 2)
    tallies.flush()
    after(20)
    tallies.flush()
    if is_new:
        memory.reset()
    after(-10)  # before the mark
    tallies.count("takeovers", "acme", 4)
    tallies.flush()
    after(15)
    tallies.count("takeovers", "acme", 8)
    tallies.flush()
    assert read.totals()["acme"].events == {"takeovers": 15}


@pytest.mark.sqlite
def test_a_process_ends_soon_although_the_store_hangs():
    with writer._flushing, patch("jobs.tallies.writer.EXIT_SECONDS", 0.05):
        ending = Thread(target=tallies.finish)
        ending.start()
        ending.join(5)
        assert not ending.is_alive()


@pytest.mark.sqlite
def test_a_forked_process_does_not_count_for_its_parent():
    tallies.count("takeovers", "acme")
    child = os.fork()
    if child == 0:
        os._exit(len(memory.rows))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(memory.rows) == 1
    assert Memory().process != memory.process
