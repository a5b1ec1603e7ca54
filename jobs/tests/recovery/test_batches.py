"""Batches in the sweep."""

from datetime import timedelta

import pytest
import redis
from django.db import OperationalError

from jobs import operator_actions
from jobs.queue.clock import redis_clock
from jobs.recovery import batches as sweep
from jobs.recovery.batches import BatchSweep
from jobs.tests.batch_rows import make_batch, now_stored, statuses_of
from tests.counting import asking_the_store

pytestmark = pytest.mark.django_db


def states(*batches):
    return [now_stored(batch).state for batch in batches]


def test_an_upload_that_nobody_continues_for_a_day_is_sealed():
    now, day = redis_clock.now(), timedelta(hours=24)
    receiving = {"state": "receiving", "sealed_at": None}
    old = make_batch("complete", received_at=now - day, **receiving)
    new = make_batch("complete", received_at=now - day + timedelta(minutes=1), **receiving)
    assert BatchSweep().seal_abandoned() == 1
    assert states(old, new) == ["running", "receiving"]
    assert now_stored(old).cut_short
    BatchSweep().advance()
    assert states(old) == ["finished"]


def test_all_batches_have_their_turn(monkeypatch):
    monkeypatch.setattr(sweep, "CHUNK", 2)
    found = [make_batch("queued" if number % 2 else "complete") for number in range(5)]
    swept = BatchSweep()
    for _ in range(3):
        assert swept.advance() == 0
    assert states(*found) == ["finished", "running", "finished", "running", "finished"]
    late = make_batch()
    swept.advance()
    swept.advance()
    assert states(late) == ["finished"]


def test_batches_that_wait_for_their_jobs_cost_two_queries():
    for _ in range(5):
        make_batch("complete", "waiting", "queued")
    with asking_the_store() as of_store:
        assert BatchSweep().advance() == 0
    assert len(of_store) == 2


def test_a_long_cancellation_goes_on_at_once_and_delays_no_other_batch(monkeypatch, make_vendor):
    make_vendor("acme")
    monkeypatch.setattr(operator_actions, "CHUNK", 2)
    monkeypatch.setattr(sweep, "CHUNK", 1)
    long = make_batch(*["queued"] * 3, cancel_requested_at=redis_clock.now())
    other = make_batch("complete")
    swept = BatchSweep()
    assert [swept.advance(), swept.advance()] == [1, 0]
    assert states(long, other) == ["running", "finished"]
    swept.advance()
    swept.advance()
    assert (statuses_of(long), states(long)) == (["cancelled"] * 3, ["finished"])


@pytest.mark.parametrize("error", [ValueError, redis.ResponseError])
@pytest.mark.usefixtures("redis_client")
def test_one_faulty_batch_does_not_stop_the_others(monkeypatch, caplog, error):
    faulty, other = make_batch("complete"), make_batch("complete")
    fail_for(monkeypatch, faulty, error("Zoë"))
    swept = BatchSweep()
    for _ in range(2):
        swept.advance()
    assert states(faulty, other) == ["running", "finished"]
    logged = [each.getMessage() for each in caplog.records if each.name == sweep.__name__]
    assert logged == [f"batch {faulty.pk} can't be advanced: {error.__name__}"]


@pytest.mark.parametrize("error", [OperationalError, redis.ConnectionError])
def test_an_outage_ends_the_step(monkeypatch, error):
    first, second = make_batch("complete"), make_batch("complete")
    fail_for(monkeypatch, first, error())
    with pytest.raises(error):
        BatchSweep().advance()
    assert states(first, second) == ["running", "running"]


def fail_for(monkeypatch, batch, error):
    advance = operator_actions.advance

    def fail(each):
        if each.pk == batch.pk:
            raise error
        return advance(each)

    monkeypatch.setattr(operator_actions, "advance", fail)
