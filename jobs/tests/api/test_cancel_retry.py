"""POST /jobs/{request_id}/cancel and /retry: done, or refused with a reason."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from jobs import lifecycle, operator_actions
from jobs.models import Job
from vendors.catalogue import catalogue

pytestmark = pytest.mark.django_db

ENDED = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def vendor(make_vendor):
    return make_vendor("acme")


def stored(job: Job) -> dict:
    return Job.objects.filter(pk=job.pk).values().get()


@pytest.mark.parametrize("status", ["queued", "waiting"])
def test_queued_and_waiting_jobs_can_be_cancelled(client, make_job, status):
    job = make_job(status=status, deadline_at=timezone.now())
    answer = client.post(f"/jobs/{job.pk}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.json() == client.get(f"/jobs/{job.pk}").json()
    assert answer.json()["finished_at"] is not None
    assert not answer.has_header("Retry-After")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_failed_and_cancelled_jobs_can_be_retried(client, make_job, status):
    job = make_job(
        status=status, attempt=3, failures=3, error_code="invalid_input", finished_at=ENDED
    )
    answer = client.post(f"/jobs/{job.pk}/retry")
    shown = answer.json()
    assert (answer.status_code, shown["status"]) == (200, "queued")
    assert (shown["run"], shown["attempts"]) == (2, 3)
    assert (shown["finished_at"], "error" in shown) == (None, False)
    assert answer["Retry-After"] == "1"
    assert stored(job)["failures"] == 0


@pytest.mark.parametrize(
    ("act", "status", "code"),
    [
        ("cancel", "processing", "call_under_way"),
        ("cancel", "complete", "already_final"),
        ("cancel", "failed", "already_final"),
        ("cancel", "cancelled", "already_final"),
        ("retry", "queued", "not_final"),
        ("retry", "processing", "not_final"),
        ("retry", "waiting", "not_final"),
        ("retry", "complete", "already_complete"),
    ],
)
def test_an_impossible_action_is_refused_and_changes_nothing(client, make_job, act, status, code):
    job = make_job(status=status, result={"name": "John Doe"}, error_code="old")
    before = stored(job)
    answer = client.post(f"/jobs/{job.pk}/{act}")
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert stored(job) == before


def test_retry_is_refused_when_the_vendor_was_deleted(client, make_job, vendor):
    job = make_job(status="failed")
    vendor.delete()
    catalogue.forget()
    answer = client.post(f"/jobs/{job.pk}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "vendor_unknown")
    assert stored(job)["status"] == "failed"


def test_a_job_of_a_disabled_vendor_can_be_retried(client, make_job, vendor):
    type(vendor).objects.update(enabled=False)
    assert client.post(f"/jobs/{make_job(status='failed').pk}/retry").status_code == 200


def test_one_of_two_simultaneous_retries_is_refused(client, make_job, monkeypatch):
    job = make_job(status="failed")
    retry = operator_actions.retry
    monkeypatch.setattr(
        operator_actions, "retry", lambda job, now: retry(job, now) and retry(job, now)
    )
    answer = client.post(f"/jobs/{job.pk}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_final")
    assert stored(job)["run"] == 2


def test_cancel_answers_moved_on_when_the_job_was_claimed_and_released_meanwhile(
    client, make_job, monkeypatch
):
    job = make_job()
    cancel = operator_actions.cancel

    def claim_and_release_first(job: Job, now: datetime) -> bool:
        [claimed] = lifecycle.claim([job.pk], worker="w", run_token="r", now=now, deadline_at=now)
        was_cancelled = cancel(job, now)
        lifecycle.apply([lifecycle.release(claimed, now)])
        return was_cancelled

    monkeypatch.setattr(operator_actions, "cancel", claim_and_release_first)
    answer = client.post(f"/jobs/{job.pk}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "moved_on")
    assert stored(job)["status"] == "queued"


def test_cancel_ignores_the_body(client, make_job):
    answer = client.post(
        f"/jobs/{make_job().pk}/cancel", b"{not json", content_type="application/json"
    )
    assert answer.status_code == 200
