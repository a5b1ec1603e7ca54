"""Every move in docs/lifecycle.md, and the ones that must be refused."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs import lifecycle
from jobs.models import FINAL, Attempt, Job, Status, Stream
from jobs.worker.record import _keep_attempt
from vendors.base import Accepted, Done

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
DOWN = ("vendor_error", "It answered 500.")
FIRST = {"vendor": "acme", "run": 1, "attempt": 1}


def claim(*jobs, run_token="token"):
    ids = [job.pk for job in jobs]
    return lifecycle.claim(ids, worker="w", run_token=run_token, now=NOW, deadline_at=LATER)


@pytest.fixture
def processing(make_job):
    [job] = claim(make_job())
    return job


def apply(move):
    [happened] = lifecycle.apply([move])
    return happened


def row():
    return Job.objects.get()


def test_a_queued_job_is_claimed_once(make_job):
    job = make_job()
    [claimed] = claim(job, run_token="first")
    assert claim(job, run_token="second") == []
    assert (claimed.status, claimed.attempt, claimed.worker) == ("processing", 1, "w")
    assert claimed.started_at == NOW


def test_applying_no_moves_is_allowed():
    assert lifecycle.apply([]) == []


def test_a_claim_takes_only_queued_jobs(make_job):
    queued, cancelled = make_job(), make_job(status=Status.CANCELLED)
    assert [job.pk for job in claim(queued, cancelled)] == [queued.pk]


def test_a_job_is_not_claimed_before_its_time(make_job):
    assert claim(make_job(not_before=LATER)) == []


def test_an_answer_completes_the_job(processing):
    assert apply(lifecycle.complete(processing, Done({"name": "x"}), NOW))
    job = row()
    assert (job.status, job.result) == ("complete", {"name": "x"})
    assert (job.finished_at, job.deadline_at) == (NOW, None)
    assert [(row.number, row.outcome) for row in Attempt.objects.all()] == [(1, "found")]


def test_an_accepted_job_waits_for_its_callback(processing):
    assert apply(lifecycle.wait(processing, Accepted(), deadline_at=LATER, now=NOW))
    assert (row().status, row().deadline_at) == ("waiting", LATER)


def test_a_failed_attempt_that_counts_is_retried_later(processing):
    move = lifecycle.retry_later(processing, *DOWN, counts=True, not_before=LATER, now=NOW)
    assert apply(move)
    job = row()
    assert (job.status, job.failures) == ("queued", 1)
    assert (job.not_before, job.stream) == (LATER, Stream.RETRIES)
    assert claim(job) == []


def test_waiting_for_a_limit_is_no_failure(processing):
    error = ("rate_limited", "It answered 429.")
    move = lifecycle.retry_later(processing, *error, counts=False, not_before=None, now=NOW)
    assert apply(move)
    assert row().failures == 0
    assert apply(lifecycle.release(claim(processing)[0], NOW))
    assert (row().failures, row().attempt, Attempt.objects.count()) == (0, 2, 1)


def test_a_worker_whose_job_was_taken_over_changes_nothing(processing):
    assert apply(lifecycle.take_over(processing, repeat=True, now=NOW))
    assert not apply(lifecycle.complete(processing, Done({"late": True}), NOW))
    [second] = claim(processing, run_token="second")
    assert not apply(lifecycle.fail(processing, "vendor_error", "late", NOW))
    assert apply(lifecycle.complete(second, Done({"late": False}), NOW))
    assert (row().result, row().attempt, row().crashes) == ({"late": False}, 2, 1)


def test_a_job_fails_when_four_workers_crashed_under_it(make_job):
    make_job()
    for crash in range(4):
        [job] = claim(*Job.objects.all(), run_token=str(crash))
        assert apply(lifecycle.take_over(job, repeat=True, now=NOW))
    job = row()
    assert (job.status, job.error_code) == ("failed", "worker_lost")
    assert (job.crashes, job.failures) == (3, 0)
    assert "4 times" in job.error_message


@pytest.mark.parametrize("move", [lifecycle.take_over, lifecycle.interrupt])
def test_an_unfinished_call_fails_its_job_when_repeat_unknown_is_off(processing, move):
    assert apply(move(processing, repeat=False, now=NOW))
    assert (row().status, row().error_code) == ("failed", "outcome_unknown")


def test_an_interrupted_call_counts_as_nothing(processing):
    assert apply(lifecycle.interrupt(processing, repeat=True, now=NOW))
    assert (row().status, row().failures, row().crashes) == ("queued", 0, 0)


@pytest.mark.parametrize("status", ["queued", "processing", "waiting"])
def test_a_callback_completes_an_open_job(make_job, status):
    not_before = LATER if status == "queued" else None
    job = make_job(status=status, attempt=2, not_before=not_before)
    assert apply(lifecycle.complete_by_callback(job.pk, Done({"name": "x"}), **FIRST, now=NOW))
    assert (row().status, row().not_before) == ("complete", None)


@pytest.mark.parametrize("status", FINAL)
def test_a_callback_does_not_change_a_final_job(make_job, status):
    job = make_job(status=status, attempt=1)
    assert not apply(lifecycle.complete_by_callback(job.pk, Done({}), **FIRST, now=NOW))
    assert row().status == status


def test_a_callback_of_an_earlier_run_changes_nothing(make_job):
    job = make_job(status=Status.WAITING, attempt=2, run=2)
    assert not apply(lifecycle.complete_by_callback(job.pk, Done({}), **FIRST, now=NOW))


def test_an_overdue_callback_fails_the_job_or_retries_it(make_job):
    job = make_job(status=Status.WAITING, attempt=1, deadline_at=NOW)
    assert apply(lifecycle.overdue(job, repeat=True, now=LATER))
    assert (row().status, row().failures) == ("queued", 1)
    other = make_job(status=Status.WAITING, attempt=1, deadline_at=NOW)
    assert apply(lifecycle.overdue(other, repeat=False, now=LATER))
    assert Job.objects.get(pk=other.pk).error_code == "callback_overdue"


def test_a_replayed_callback_completes_only_a_job_that_failed_as_overdue(make_job):
    job = make_job(status=Status.FAILED, attempt=1, error_code="callback_overdue")
    other = make_job(status=Status.FAILED, attempt=1, error_code="vendor_error")
    assert apply(lifecycle.complete_overdue(job.pk, Done({"name": "x"}), **FIRST, now=NOW))
    assert not apply(lifecycle.complete_overdue(other.pk, Done({"name": "x"}), **FIRST, now=NOW))


@pytest.mark.parametrize(
    ("status", "possible"),
    [("queued", True), ("waiting", True), ("processing", False), ("complete", False)],
)
def test_only_queued_and_waiting_jobs_can_be_cancelled(make_job, status, possible):
    assert apply(lifecycle.cancel(make_job(status=status), NOW)) is possible
    assert row().status == ("cancelled" if possible else status)


@pytest.mark.parametrize(
    ("status", "possible"),
    [("failed", True), ("cancelled", True), ("complete", False), ("waiting", False)],
)
def test_a_retry_starts_a_new_run(make_job, status, possible):
    job = make_job(status=status, attempt=3, failures=3, crashes=2, error_code="x", finished_at=NOW)
    assert apply(lifecycle.retry(job, LATER)) is possible
    after = row()
    if possible:
        assert (after.status, after.run, after.attempt) == ("queued", 2, 3)
        assert (after.failures, after.crashes) == (0, 0)
        assert (after.error_code, after.finished_at) == ("", None)
    else:
        assert after.run == 1
    assert not apply(lifecycle.retry(job, LATER))


def test_the_idempotency_key_changes_only_with_the_run(make_job):
    job = make_job(status=Status.FAILED, attempt=3)
    assert job.call_key == job.pk
    apply(lifecycle.retry(job, NOW))
    assert row().call_key == f"{job.pk}:2"


def test_moves_that_are_applied_together_happen_independently(make_job):
    first, second = claim(make_job(), make_job())
    apply(lifecycle.take_over(first, repeat=True, now=NOW))
    moves = [lifecycle.complete(first, Done({}), NOW), lifecycle.complete(second, Done({}), NOW)]
    assert lifecycle.apply(moves) == [False, True]


def test_an_answer_that_comes_after_its_callback_is_kept_as_an_attempt(processing):
    apply(lifecycle.complete_by_callback(processing.pk, Done({"name": "x"}), **FIRST, now=NOW))
    late = lifecycle.wait(processing, Accepted(), deadline_at=LATER, now=NOW)
    assert not apply(late)
    _keep_attempt(late)
    _keep_attempt(late)
    assert [row.outcome for row in Attempt.objects.all()] == ["pending"]
