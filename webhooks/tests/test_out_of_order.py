"""Callbacks that are early, late, repeated, concurrent or interrupted by a crash end their job once
or not at all.
"""

from datetime import UTC, datetime, timedelta

import pytest

from jobs import lifecycle, operator_actions
from jobs.callbacks.apply import apply, apply_late, apply_pending
from jobs.callbacks.receive import store as store_callback
from jobs.callbacks.tokens import AttemptRef
from jobs.models import Callback, Job, Verdict
from vendors.base import Accepted
from vendors.models import Vendor
from webhooks.tests import adapters

PICKY = "adapters.callbacks.Picky"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
RESULT = {"name": "John Doe"}
BODY = b'{"name": "John Doe"}'
NO_NAME = b'{"surname": "Doe"}'  # which Picky can't read


@pytest.fixture
def vendor(make_vendor):
    return make_vendor(adapter=PICKY)


def store(job, body=BODY, *, run=1, attempt=1, webhook_id="", now=NOW):
    vendor, ref = Vendor.objects.get(slug=job.vendor), AttemptRef(run, attempt)
    return store_callback(vendor, job.pk, ref, webhook_id=webhook_id, body=body, now=now)


def receive(job, body=BODY, **options):
    return apply(store(job, body, **options), Vendor.objects.get(), NOW)


def apply_all_pending():
    return apply_pending(LATER, older_than=timedelta(0), limit=9)


def stored(job):
    return Job.objects.get(pk=job.pk)


def overdue(make_job):
    """A job that failed because its callback did not come in time."""
    job = make_job(status="waiting", attempt=1, deadline_at=NOW)
    assert lifecycle.apply([lifecycle.overdue(job, repeat=False, now=LATER)]) == [True]
    return job


def test_an_early_callback_completes_a_job_whose_call_is_still_in_progress(vendor, make_job):
    job = make_job(status="processing", attempt=1, started_at=NOW)
    assert receive(job) == Verdict.APPLIED
    assert (stored(job).status, stored(job).result) == ("complete", RESULT)
    assert lifecycle.apply([lifecycle.wait(job, Accepted(), deadline_at=LATER, now=NOW)]) == [False]
    assert stored(job).status == "complete"


@pytest.mark.parametrize("status", ["queued", "processing", "waiting"])
def test_a_callback_for_an_earlier_attempt_of_the_run_completes_the_job(vendor, make_job, status):
    job = make_job(status=status, attempt=3, not_before=LATER if status == "queued" else None)
    assert receive(job, attempt=2) == Verdict.APPLIED
    assert (stored(job).status, stored(job).not_before) == ("complete", None)


@pytest.mark.parametrize("status", ["complete", "failed", "cancelled"])
def test_a_late_callback_is_kept_and_changes_nothing(vendor, make_job, status):
    job = make_job(status=status, attempt=1, result={"name": "Jane Doe"}, finished_at=NOW)
    assert receive(job) == Verdict.LATE
    assert (stored(job).status, stored(job).result) == (status, {"name": "Jane Doe"})
    assert Callback.objects.get().verdict == Verdict.LATE


def test_a_callback_for_a_cancelled_job_is_late(vendor, make_job):
    job = make_job(status="waiting", attempt=1)
    assert operator_actions.cancel(job, NOW)
    assert receive(job) == Verdict.LATE
    assert stored(job).status == "cancelled"


@pytest.mark.parametrize("run", [1, 3])
def test_a_callback_for_another_run_is_late(vendor, make_job, run):
    job = make_job(status="waiting", attempt=2, run=2)
    assert receive(job, run=run) == Verdict.LATE
    assert stored(job).status == "waiting"


def test_a_callback_for_an_attempt_that_is_not_yet_recorded_is_applied_later(vendor, make_job):
    job = make_job(status="queued", attempt=0)
    assert receive(job) is None
    Job.objects.update(status="waiting", attempt=1)
    assert apply_all_pending() == 1
    assert stored(job).status == "complete"


def test_a_callback_for_an_unknown_job_is_unmatched(vendor, make_job):
    assert receive(Job.new(vendor="acme")) == Verdict.UNMATCHED
    assert Callback.objects.get().verdict == Verdict.UNMATCHED


def test_the_first_of_two_different_callbacks_counts(vendor, make_job):
    job = make_job(status="waiting", attempt=1)
    assert receive(job) == Verdict.APPLIED
    assert receive(job, b'{"name": "Jane Doe"}') == Verdict.LATE
    assert receive(job, webhook_id="msg_2") == Verdict.LATE
    assert stored(job).result == RESULT


def test_a_failure_reported_after_a_result_is_late(vendor, make_job):
    job = make_job(status="waiting", attempt=1)
    receive(job)
    assert receive(job, b'{"error": 1}') == Verdict.LATE
    assert stored(job).status == "complete"


@pytest.mark.parametrize(("body", "status"), [(BODY, "complete"), (b'{"error": 1}', "failed")])
def test_a_repeat_restores_the_verdict_after_a_crash_between_move_and_verdict(
    vendor, make_job, body, status
):
    job = make_job(status="waiting", attempt=1)
    receive(job, body)
    Callback.objects.update(verdict="")
    assert receive(job, body) == Verdict.APPLIED
    assert (stored(job).status, Callback.objects.get().verdict) == (status, Verdict.APPLIED)


def test_a_process_that_applies_a_callback_too_late_does_not_change_its_verdict(vendor, make_job):
    stale = store(make_job(status="waiting", attempt=1))
    assert apply(Callback.objects.get(), vendor, NOW) == Verdict.APPLIED
    assert apply(stale, None, NOW) == Verdict.LATE
    assert Callback.objects.get().verdict == Verdict.APPLIED


def test_callbacks_left_by_a_crash_are_applied_oldest_first_and_up_to_the_limit(vendor, make_job):
    jobs = [make_job(status="waiting", attempt=1) for _ in range(3)]
    for minutes, job in enumerate(reversed(jobs)):
        store(job, now=NOW + timedelta(minutes=minutes))
    assert apply_pending(LATER, older_than=timedelta(0), limit=2) == 2
    assert [stored(job).status for job in jobs] == ["waiting", "complete", "complete"]
    assert apply_pending(LATER, older_than=timedelta(0), limit=2) == 1
    assert apply_pending(LATER, older_than=timedelta(0), limit=2) == 0


def test_the_sweep_skips_a_callback_that_is_just_being_applied(vendor, make_job):
    store(make_job(status="waiting", attempt=1))
    grace = timedelta(seconds=10)
    assert apply_pending(NOW + timedelta(seconds=9), older_than=grace, limit=9) == 0
    assert apply_pending(NOW + timedelta(seconds=10), older_than=grace, limit=9) == 1


def test_an_unreadable_callback_is_applied_by_a_better_adapter(vendor, make_job, caplog):
    job = make_job(status="waiting", attempt=1)
    assert receive(job, NO_NAME) == Verdict.UNREADABLE
    assert f"KeyError at {adapters.__file__}" in caplog.text
    assert f"KeyError at {adapters.__file__}" in Callback.objects.get().reason
    assert stored(job).status == "waiting"
    Vendor.objects.update(adapter="async")
    assert receive(job, NO_NAME) == Verdict.APPLIED
    assert Callback.objects.get().reason == ""


def test_an_unreadable_callback_is_logged_once(vendor, make_job, caplog):
    receive(make_job(status="waiting", attempt=1), NO_NAME)
    caplog.clear()
    assert apply_all_pending() == 0
    assert not caplog.records


def test_pending_callbacks_of_one_vendor_do_not_delay_another(make_vendor, make_job):
    make_vendor(slug="picky", adapter="async")
    acme = make_vendor(adapter="async")
    for slug, minutes in [("picky", 0), ("picky", 1), ("acme", 2)]:
        job = make_job(vendor=slug, status="waiting", attempt=1)
        store(job, NO_NAME, now=NOW + timedelta(minutes=minutes))
    assert apply_pending(LATER, older_than=timedelta(0), limit=1) == 2
    assert Job.objects.get(vendor=acme.slug).status == "complete"


def test_a_callback_never_ends_a_job_of_another_vendor(vendor, make_vendor, make_job):
    store(make_job(status="waiting", attempt=1))
    make_vendor("globex", adapter=PICKY)
    Job.objects.update(vendor="globex")
    assert apply_all_pending() == 1
    assert Job.objects.get().status == "waiting"
    assert Callback.objects.get().verdict == Verdict.UNMATCHED


def test_an_unreadable_callback_keeps_its_verdict_when_another_ends_the_job(vendor, make_job):
    job = make_job(status="waiting", attempt=1)
    assert receive(job, NO_NAME) == Verdict.UNREADABLE
    assert receive(job) == Verdict.APPLIED
    assert apply_all_pending() == 0
    verdicts = Callback.objects.order_by("id").values_list("verdict", flat=True)
    assert list(verdicts) == [Verdict.UNREADABLE, Verdict.APPLIED]


def test_an_unreadable_callback_of_an_ended_job_is_late_once_it_can_be_read(vendor, make_job):
    job = make_job(status="complete", attempt=1)
    assert receive(job, NO_NAME) == Verdict.UNREADABLE
    Vendor.objects.update(adapter="async")
    assert receive(job, NO_NAME) == Verdict.LATE


def test_a_callback_of_a_deleted_vendor_is_late(vendor, make_job):
    store(make_job(status="complete", attempt=1))
    vendor.delete()
    assert apply_all_pending() == 1
    assert Callback.objects.get().verdict == Verdict.LATE


def test_an_operator_can_apply_a_callback_that_came_after_its_deadline(vendor, make_job):
    job = overdue(make_job)
    assert receive(job) == Verdict.LATE
    assert apply_late(Callback.objects.get(), LATER)
    job = stored(job)
    assert (job.status, job.result, job.error_code) == ("complete", RESULT, "")
    assert Callback.objects.get().verdict == Verdict.APPLIED
    assert not apply_late(Callback.objects.get(), LATER)


def test_a_late_failure_does_not_complete_a_job(vendor, make_job):
    job = overdue(make_job)
    receive(job, b'{"error": 1}')
    assert not apply_late(Callback.objects.get(), LATER)
    assert stored(job).error_code == "callback_overdue"


def test_a_late_callback_stays_late_if_its_job_failed_otherwise_or_runs_again(vendor, make_job):
    job = make_job(status="failed", attempt=1, error_code="vendor_error")
    receive(job)
    assert not apply_late(Callback.objects.get(), LATER)
    Job.objects.update(error_code="callback_overdue", run=2)
    assert not apply_late(Callback.objects.get(), LATER)
    assert (stored(job).status, Callback.objects.get().verdict) == ("failed", Verdict.LATE)


def test_a_callback_without_a_verdict_is_not_applied_as_late(vendor, make_job):
    job = overdue(make_job)
    assert not apply_late(store(job), LATER)
    assert stored(job).status == "failed"
