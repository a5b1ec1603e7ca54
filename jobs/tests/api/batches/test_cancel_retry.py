"""POST /batches/{batch_id}/cancel and /retry."""

from datetime import timedelta

import pytest
from django.db import OperationalError

from jobs import operator_actions
from jobs.api.batches import views
from jobs.models import Job
from jobs.queue.clock import redis_clock
from jobs.tests.batch_rows import add_item, make_batch, now_stored, statuses_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("acme")]


@pytest.fixture
def acme(make_vendor):
    return make_vendor("acme")


def post(client, batch, action):
    answer = client.post(f"/batches/{batch.pk}/{action}")
    return answer.status_code, answer.json()


def test_cancel_ends_what_is_queued_or_waits(client):
    batch = make_batch("queued", "waiting", "complete", "failed", "refused")
    status, shown = post(client, batch, "cancel")
    assert (status, shown["state"], shown["pending_action"]) == (200, "finished", None)
    assert statuses_of(batch) == ["cancelled", "cancelled", "complete", "failed"]
    assert shown == client.get(f"/batches/{batch.pk}").json()


def test_cancel_seals_a_batch_that_is_receiving(client):
    batch = make_batch("queued", state="receiving", sealed_at=None)
    _, shown = post(client, batch, "cancel")
    assert (shown["state"], shown["sealed_at"] is None, shown["cut_short"]) == (
        *("finished", False, False),
    )


def test_a_job_that_is_being_called_keeps_the_cancellation_pending(client):
    batch = make_batch("queued", "processing")
    _, shown = post(client, batch, "cancel")
    assert (shown["state"], shown["pending_action"]) == ("running", "cancel")
    assert statuses_of(batch) == ["cancelled", "processing"]


def test_a_finished_batch_is_not_cancelled(client):
    batch = make_batch("complete", "failed")
    status, problem = post(client, batch, "cancel")
    assert (status, problem["code"]) == (409, "already_final")
    assert now_stored(batch).state == "finished"


def test_retry_queues_what_has_failed(client):
    batch = make_batch("failed", "cancelled", "complete", "failed", "refused")
    status, shown = post(client, batch, "retry")
    assert (status, shown["state"], shown["pending_action"]) == (200, "running", None)
    assert statuses_of(batch) == ["queued", "cancelled", "complete", "queued"]
    assert Job.of_batch(batch.pk).filter(run=2).count() == 2


@pytest.mark.parametrize(("run", "age_seconds"), [(1, 0), (2, 10)])
def test_retry_queues_a_job_whose_lost_entry_was_added_again(client, run, age_seconds):
    """Its queued_at is in the future (jobs.recovery.lost_entries), and it failed before."""
    batch, now = make_batch(), redis_clock.now()
    finished_at = now - timedelta(seconds=age_seconds)
    queued_at = now + timedelta(seconds=30)
    add_item(batch, 0, "failed", run=run, queued_at=queued_at, finished_at=finished_at)
    post(client, batch, "retry")
    assert statuses_of(batch) == ["queued"]


def test_a_batch_where_nothing_failed_is_not_retried(client):
    batch = make_batch("complete", "cancelled")
    before = client.get(f"/batches/{batch.pk}").json()
    status, problem = post(client, batch, "retry")
    assert (status, problem["code"]) == (409, "nothing_to_retry")
    assert client.get(f"/batches/{batch.pk}").json() == before


def test_jobs_whose_vendor_was_deleted_stay_failed(client, acme):
    batch = make_batch("failed", vendor="gone")
    status, shown = post(client, batch, "retry")
    assert (status, shown["state"], shown["counts"]["failed"]) == (200, "finished", 1)


def test_a_batch_that_is_receiving_is_not_retried(client):
    batch = make_batch("failed", state="receiving", sealed_at=None)
    status, problem = post(client, batch, "retry")
    assert (status, problem["code"]) == (409, "not_final")
    assert statuses_of(batch) == ["failed"]


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("cancel", "queued", "cancelled"),
        ("retry", "failed", "queued"),
    ],
)
def test_what_a_request_has_no_time_for_is_left_to_the_sweep(
    client, monkeypatch, action, before, after
):
    monkeypatch.setattr(views, "MAX_ACTION_SECONDS", 0)
    monkeypatch.setattr(operator_actions, "CHUNK", 2)
    batch = make_batch(*[before] * 3)
    _, shown = post(client, batch, action)
    assert (shown["pending_action"], shown["counts"][before]) == (action, 3)
    while operator_actions.advance(now_stored(batch)):
        pass
    assert statuses_of(batch) == [after] * 3
    assert client.get(f"/batches/{batch.pk}").json()["pending_action"] is None


@pytest.mark.sqlite
@pytest.mark.parametrize(("action", "status"), [("cancel", "queued"), ("retry", "failed")])
def test_an_outage_after_the_request_was_stored_is_not_told_as_its_failure(
    client, monkeypatch, action, status
):
    batch = make_batch(status)
    with monkeypatch.context() as patch:
        patch.setattr(operator_actions, "advance", _fail)
        answered, shown = post(client, batch, action)
    assert (answered, shown["state"], shown["pending_action"]) == (200, "running", action)
    operator_actions.advance(now_stored(batch))
    assert statuses_of(batch) != [status]


def _fail(batch):
    raise OperationalError("away")
