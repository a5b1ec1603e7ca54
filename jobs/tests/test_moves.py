"""Every arrow of docs/lifecycle.md, and every one that must not exist."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs import lifecycle
from jobs.models import FINAL, Attempt, Job, Status, Stream

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def start(*jobs, run_token="token"):
    return lifecycle.claim(
        [job.pk for job in jobs], worker="w", run_token=run_token, now=NOW, deadline_at=LATER
    )


@pytest.fixture
def running(make_job):
    [job] = start(make_job())
    return job


def apply(move):
    [happened] = lifecycle.apply([move])
    return happened


def test_a_queued_job_is_started_once(make_job):
    job = make_job()
    [started] = start(job, run_token="first")
    assert start(job, run_token="second") == []
    assert (started.status, started.attempt, started.worker, started.started_at) == (
        "processing",
        1,
        "w",
        NOW,
    )


def test_a_batch_of_nothing_is_no_mistake():
    assert lifecycle.apply([]) == []


def test_a_batch_starts_what_it_can(make_job):
    free, taken = make_job(), make_job(status=Status.CANCELLED)
    assert [job.pk for job in start(free, taken)] == [free.pk]


def test_a_job_is_not_started_before_its_time(make_job):
    assert start(make_job(not_before=LATER)) == []


def test_a_good_answer_completes_the_job(running):
    assert apply(lifecycle.complete(running, {"name": "x"}, NOW))
    job = Job.objects.get()
    assert (job.status, job.result, job.finished_at, job.deadline_at) == (
        "complete",
        {"name": "x"},
        NOW,
        None,
    )
    assert [(row.number, row.outcome) for row in Attempt.objects.all()] == [(1, "done")]


def test_an_accepted_job_waits_for_its_callback(running):
    assert apply(lifecycle.wait(running, deadline_at=LATER, now=NOW))
    assert (Job.objects.get().status, Job.objects.get().deadline_at) == ("waiting", LATER)


def test_a_failed_try_that_counts_is_queued_for_later(running):
    assert apply(
        lifecycle.retry_later(
            running, "vendor_error", "It answered 500.", counts=True, not_before=LATER, now=NOW
        )
    )
    job = Job.objects.get()
    assert (job.status, job.failures, job.not_before, job.stream) == (
        "queued",
        1,
        LATER,
        Stream.RETRIES,
    )
    assert start(job) == []


def test_waiting_for_a_limit_is_no_failure(running):
    assert apply(
        lifecycle.retry_later(
            running, "vendor_throttled", "It answered 429.", counts=False, not_before=None, now=NOW
        )
    )
    assert Job.objects.get().failures == 0
    assert apply(lifecycle.release(start(running)[0], NOW))
    assert (Job.objects.get().failures, Job.objects.get().attempt, Attempt.objects.count()) == (
        0,
        2,
        1,
    )


def test_a_late_worker_changes_nothing(running):
    assert apply(lifecycle.take_over(running, repeat=True, now=NOW))
    assert not apply(lifecycle.complete(running, {"late": True}, NOW))
    [again] = start(running, run_token="second")
    assert not apply(lifecycle.fail(running, "vendor_error", "late", NOW))
    assert apply(lifecycle.complete(again, {"late": False}, NOW))
    assert (Job.objects.get().result, Job.objects.get().attempt, Job.objects.get().crashes) == (
        {"late": False},
        2,
        1,
    )


def test_a_job_that_kills_its_workers_fails_after_the_fourth(make_job):
    make_job()
    for crash in range(4):
        [job] = start(*Job.objects.all(), run_token=str(crash))
        assert apply(lifecycle.take_over(job, repeat=True, now=NOW))
    job = Job.objects.get()
    assert (job.status, job.error_code, job.crashes, job.failures) == (
        "failed",
        "worker_lost",
        3,
        0,
    )
    assert "4 times" in job.error_message


@pytest.mark.parametrize("move", [lifecycle.take_over, lifecycle.interrupt])
def test_a_vendor_that_must_not_be_called_twice_is_not(running, move):
    assert apply(move(running, repeat=False, now=NOW))
    assert (Job.objects.get().status, Job.objects.get().error_code) == ("failed", "outcome_unknown")


def test_a_stopped_worker_lets_go_without_a_mark(running):
    assert apply(lifecycle.interrupt(running, repeat=True, now=NOW))
    job = Job.objects.get()
    assert (job.status, job.failures, job.crashes) == ("queued", 0, 0)


@pytest.mark.parametrize("status", ["queued", "processing", "waiting"])
def test_a_callback_completes_its_job_wherever_it_is(make_job, status):
    job = make_job(status=status, attempt=2, not_before=LATER if status == "queued" else None)
    assert apply(
        lifecycle.complete_by_callback(
            job.pk, {"name": "x"}, vendor="acme", run=1, attempt=1, now=NOW
        )
    )
    assert (Job.objects.get().status, Job.objects.get().not_before) == ("complete", None)


@pytest.mark.parametrize("status", FINAL)
def test_a_callback_leaves_a_final_job_alone(make_job, status):
    job = make_job(status=status, attempt=1)
    assert not apply(
        lifecycle.complete_by_callback(job.pk, {}, vendor="acme", run=1, attempt=1, now=NOW)
    )
    assert Job.objects.get().status == status


def test_a_callback_of_an_earlier_run_changes_nothing(make_job):
    job = make_job(status=Status.WAITING, attempt=2, run=2)
    assert not apply(
        lifecycle.complete_by_callback(job.pk, {}, vendor="acme", run=1, attempt=1, now=NOW)
    )


def test_an_overdue_callback_fails_the_job_or_tries_it_again(make_job):
    job = make_job(status=Status.WAITING, attempt=1, deadline_at=NOW)
    assert apply(lifecycle.overdue(job, repeat=True, now=LATER))
    assert (Job.objects.get().status, Job.objects.get().failures) == ("queued", 1)
    other = make_job(status=Status.WAITING, attempt=1, deadline_at=NOW)
    assert apply(lifecycle.overdue(other, repeat=False, now=LATER))
    assert Job.objects.get(pk=other.pk).error_code == "callback_overdue"


def test_a_stored_callback_completes_the_job_that_failed_for_the_lack_of_it(make_job):
    job = make_job(status=Status.FAILED, attempt=1, error_code="callback_overdue")
    other = make_job(status=Status.FAILED, attempt=1, error_code="vendor_error")
    assert apply(
        lifecycle.complete_overdue(job.pk, {"name": "x"}, vendor="acme", run=1, attempt=1, now=NOW)
    )
    assert not apply(
        lifecycle.complete_overdue(
            other.pk, {"name": "x"}, vendor="acme", run=1, attempt=1, now=NOW
        )
    )


@pytest.mark.parametrize(
    ("status", "possible"),
    [("queued", True), ("waiting", True), ("processing", False), ("complete", False)],
)
def test_what_is_not_under_way_can_be_cancelled(make_job, status, possible):
    assert apply(lifecycle.cancel(make_job(status=status), NOW)) is possible
    assert Job.objects.get().status == ("cancelled" if possible else status)


@pytest.mark.parametrize(
    ("status", "possible"),
    [("failed", True), ("cancelled", True), ("complete", False), ("waiting", False)],
)
def test_a_retry_is_a_new_run(make_job, status, possible):
    job = make_job(status=status, attempt=3, failures=3, crashes=2, error_code="x", finished_at=NOW)
    assert apply(lifecycle.retry(job, LATER)) is possible
    after = Job.objects.get()
    fresh = (
        after.status,
        after.run,
        after.attempt,
        after.failures,
        after.crashes,
        after.error_code,
        after.finished_at,
    )
    assert fresh == ("queued", 2, 3, 0, 0, "", None) if possible else after.run == 1
    assert not apply(lifecycle.retry(job, LATER))


def test_the_idempotency_key_changes_with_the_run_only(make_job):
    job = make_job(status=Status.FAILED, attempt=3)
    assert job.idempotency_key == job.pk
    apply(lifecycle.retry(job, NOW))
    assert Job.objects.get().idempotency_key == f"{job.pk}:2"


def test_moves_of_a_batch_stand_or_fall_alone(make_job):
    first, second = start(make_job(), make_job())
    apply(lifecycle.take_over(first, repeat=True, now=NOW))
    moves = [lifecycle.complete(first, {}, NOW), lifecycle.complete(second, {}, NOW)]
    assert lifecycle.apply(moves) == [False, True]


def test_an_answer_overtaken_by_its_callback_is_kept_as_an_attempt(running):
    apply(
        lifecycle.complete_by_callback(
            running.pk, {"name": "x"}, vendor="acme", run=1, attempt=1, now=NOW
        )
    )
    late = lifecycle.wait(running, deadline_at=LATER, now=NOW)
    assert not apply(late)
    lifecycle.keep_attempt(late)
    lifecycle.keep_attempt(late)
    assert [row.outcome for row in Attempt.objects.all()] == ["accepted"]
