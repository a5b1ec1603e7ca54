"""The life of a batch, when two things happen to it at once."""

from datetime import timedelta

import pytest
from django.db.models import Max

from jobs import batches, lifecycle, operator_actions
from jobs.models import Job, RefusedItem, Status
from jobs.queue.clock import redis_clock
from jobs.tests.batch_rows import ENDED, add_item, make_batch, now_stored, statuses_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("acme")]

SECOND = timedelta(seconds=1)


@pytest.fixture
def acme(make_vendor):
    return make_vendor("acme")


def retry_job(batch):
    return operator_actions.retry(Job.of_batch(batch.pk).get(), redis_clock.now())


def state_of(batch):
    return now_stored(batch).state


def advance_all(batch):
    while operator_actions.advance(now_stored(batch)):
        pass


@pytest.mark.parametrize("state", ["running", "finished"])
def test_a_job_that_is_retried_makes_its_batch_run(state):
    batch = make_batch("failed", state=state, finished_at=ENDED if state == "finished" else None)
    assert retry_job(batch)
    assert (state_of(batch), now_stored(batch).finished_at) == ("running", None)
    assert not batches.finish(now_stored(batch))


def test_a_batch_is_not_finished_by_what_was_counted_before_a_retry(monkeypatch):
    batch = make_batch("failed")

    def retry_meanwhile(name):
        retry_job(batch)
        return Max(name)

    monkeypatch.setattr(batches, "Max", retry_meanwhile)
    assert not batches.finish(now_stored(batch))
    assert state_of(batch) == "running"


def test_a_batch_that_is_finished_in_the_middle_of_a_retry_runs_again(monkeypatch):
    batch, apply = make_batch("failed"), lifecycle.apply

    def finish_meanwhile(moves):
        assert batches.finish(now_stored(batch))
        return apply(moves)

    monkeypatch.setattr(lifecycle, "apply", finish_meanwhile)
    assert retry_job(batch)
    assert state_of(batch) == "running"


def test_items_that_come_while_their_batch_is_cancelled_are_cancelled_too():
    """As on MongoDB, where an upload's check and its insert are two writes."""
    batch = make_batch("queued", state="receiving", sealed_at=None)
    assert batches.receive(batch.pk, redis_clock.now())
    assert batches.request_cancel(batch.pk, redis_clock.now())
    advance_all(batch)
    assert state_of(batch) == "finished"
    assert not batches.receive(batch.pk, redis_clock.now())
    add_item(batch, 1, "queued")
    assert batches.resume(batch.pk)
    advance_all(batch)
    assert (statuses_of(batch), state_of(batch)) == (["cancelled", "cancelled"], "finished")
    assert not batches.request_cancel(batch.pk, redis_clock.now())


def test_a_job_that_was_being_called_is_cancelled_when_it_would_be_called_again():
    batch = make_batch("processing")
    batches.request_cancel(batch.pk, redis_clock.now())
    assert not operator_actions.advance(now_stored(batch))
    assert statuses_of(batch) == ["processing"]
    job, now = Job.of_batch(batch.pk).get(), redis_clock.now()
    late = {"counts": True, "not_before": now + SECOND, "now": now}
    assert lifecycle.apply([lifecycle.retry_later(job, "timeout", "", **late)]) == [True]
    advance_all(batch)
    assert (statuses_of(batch), state_of(batch)) == (["cancelled"], "finished")


@pytest.mark.parametrize(("other", "after"), [("processing", "cancelled"), ("complete", "queued")])
def test_a_retried_job_is_cancelled_only_while_its_batch_is_being_cancelled(other, after):
    batch = make_batch("failed", other, cancel_requested_at=ENDED)
    failed = Job.of_batch(batch.pk).get(status="failed")
    assert operator_actions.retry(failed, redis_clock.now())
    advance_all(batch)
    assert statuses_of(batch) == [after, other]
    assert state_of(batch) == "running"


def test_the_last_request_for_a_batch_counts():
    batch = make_batch("failed", "processing")
    batches.request_cancel(batch.pk, redis_clock.now())
    batches.request_retry(batch.pk, redis_clock.now())
    assert now_stored(batch).cancel_requested_at is None
    batches.request_cancel(batch.pk, redis_clock.now())
    advance_all(batch)
    assert statuses_of(batch) == ["failed", "processing"]


@pytest.mark.parametrize("skew", [SECOND, -SECOND])
def test_no_job_is_retried_twice_for_one_request(monkeypatch, skew):
    """Not even by a step that is repeated after a crash, whatever the worker's clock says."""
    batch = make_batch("failed", "failed")
    batches.request_retry(batch.pk, redis_clock.now())
    with monkeypatch.context() as patch:
        patch.setattr(batches, "retry_is_done", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            operator_actions.advance(now_stored(batch))
    first = Job.of_batch(batch.pk).order_by("batch_index")[0]
    requested_at = now_stored(batch).retry_requested_at
    Job.objects.filter(pk=first.pk).update(status=Status.FAILED, finished_at=requested_at + skew)
    advance_all(batch)
    assert statuses_of(batch) == ["failed", "queued"]
    assert set(Job.of_batch(batch.pk).values_list("run", flat=True)) == {2}
    assert now_stored(batch).retry_requested_at is None


def test_a_batch_that_goes_on_is_not_cut_short():
    now = redis_clock.now()
    batch = make_batch("complete", state="receiving", sealed_at=None, received_at=now - SECOND)
    assert batches.receive(batch.pk, now)
    assert not batches.cut_short(batch.pk, now, received_before=now - SECOND)
    assert batches.cut_short(batch.pk, now, received_before=now)
    assert (state_of(batch), now_stored(batch).cut_short) == ("running", True)
    assert not batches.seal(batch.pk, now)


def test_a_refusal_of_an_item_that_is_a_job_is_gone_when_the_batch_is_finished(monkeypatch):
    """An upload that died has left it (docs/decisions/0028-batches.md)."""
    monkeypatch.setattr(batches, "CHUNK", 1)
    batch = make_batch("complete", "refused", "complete", "refused")
    add_item(batch, 0, "refused")
    add_item(batch, 2, "refused")
    assert batches.finish(now_stored(batch))
    left = RefusedItem.of_batch(batch.pk).values_list("batch_index", flat=True)
    assert sorted(left) == [1, 3]
