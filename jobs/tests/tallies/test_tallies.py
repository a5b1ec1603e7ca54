"""What is counted when jobs are accepted and moved."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs import lifecycle
from jobs.api import intake
from jobs.models import Job
from jobs.tests.tallies.counted import counted
from vendors.base import Accepted, Done
from vendors.models import Limit, Vendor

pytestmark = [pytest.mark.usefixtures("transactional_db"), pytest.mark.sqlite]

NOW = datetime.now(UTC)
LATER = NOW + timedelta(minutes=1)
DOWN = ("vendor_error", "It answered 500.")
ACME = {"vendor": "acme", "run": 1, "attempt": 1}
CALLED = {"call": 1, "wait": 1}
FAILED = {"failed": 1, "job": 1}
DONE = {"done": 1, "job": 1}
ERROR = {"calls": {"error": 1}, "call_codes": {"vendor_error": 1}}


def complete(job):
    return lifecycle.complete(job, Done({}, cost=0.5), NOW)


def retry_later(job):
    return lifecycle.retry_later(job, *DOWN, counts=True, not_before=None, now=NOW)


def not_called(job):
    return lifecycle.release(job, NOW)


def rejected(job):
    move = lifecycle.fail(job, *DOWN, NOW)
    move.attempt.units = 0  # nothing was sent
    return move


def accept(job):
    return lifecycle.wait(job, Accepted(), deadline_at=LATER, now=NOW)


def poll(job):
    attempt = lifecycle.new_poll(job, Vendor(slug="acme"), "w", NOW)
    attempt.outcome, attempt._state.adding = "pending", False
    return lifecycle.poll_again(job, LATER, attempt)


def rerun(job):
    job.run = 2
    return complete(job)


def by_callback(job):
    return lifecycle.complete_by_callback(job.pk, Done({}), **ACME, now=NOW)


def failed_by_callback(job):
    return lifecycle.fail_by_callback(job.pk, *DOWN, **ACME, now=NOW)


def spent(job):
    return lifecycle.fail_spent(job, Limit(slug="pdl"), LATER, NOW)


def overdue(job):
    return lifecycle.overdue(job, repeat=False, now=LATER)


def taken_over(job):
    return lifecycle.take_over(job, repeat=True, now=NOW)


def late(job):
    return lifecycle.complete_overdue(job.pk, Done({}), **ACME, now=NOW)


@pytest.mark.parametrize(
    ("status", "move", "expected"),
    [
        ("processing", complete, {**DONE, **CALLED, "calls": {"found": 1}, "cost": 0.5}),
        ("processing", retry_later, {**CALLED, **ERROR}),
        ("processing", not_called, {}),
        ("processing", rejected, {**FAILED, **ERROR, "wait": 1, "job_codes": {DOWN[0]: 1}}),
        ("processing", accept, {**CALLED, "calls": {"pending": 1}}),
        ("processing", taken_over, {}),
        ("processing", rerun, {"done": 1, **CALLED, "calls": {"found": 1}, "cost": 0.5}),
        ("waiting", poll, {"polls": {"pending": 1}}),
        ("waiting", by_callback, DONE),
        ("waiting", failed_by_callback, {**FAILED, "job_codes": {DOWN[0]: 1}}),
        ("waiting", overdue, {**FAILED, "job_codes": {"callback_overdue": 1}}),
        ("queued", lifecycle.expire, {**FAILED, "job_codes": {"expired": 1}}),
        ("queued", spent, {**FAILED, "job_codes": {"quota_spent": 1}}),
        ("queued", lifecycle.cancel, {"cancelled": 1}),
        ("failed", late, {"done": 1}),
        ("failed", lifecycle.retry, {}),
        ("complete", by_callback, {}),  # another process was first
    ],
)
def test_what_a_move_does_is_counted(make_job, status, move, expected):
    code = "callback_overdue" if status == "failed" else ""
    dates = {"started_at": NOW - timedelta(seconds=2), "deadline_at": NOW}
    job = make_job(status=status, attempt=1, error_code=code, **dates)
    made = move(job, NOW) if move.__module__.startswith("jobs.life") else move(job)
    lifecycle.apply([made])
    assert plain(counted("acme")) == expected


def test_jobs_are_counted_when_they_are_accepted():
    jobs = [Job.new(vendor="acme", input={}, idempotency_key="k") for _ in range(2)]
    assert [intake.accept(job) for job in jobs] == [True, False]
    assert plain(counted("acme")) == {"accepted": 1}


def plain(counts):
    """Return what is not zero, and of histograms only how many durations they have."""
    found = counts.as_json()
    return found | {name: sum(found[name][2::2]) for name in found.keys() & {"call", "job", "wait"}}
