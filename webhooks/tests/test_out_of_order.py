"""Callbacks that come early, late, twice, at once or after a crash: each ends its job once or not
at all.
"""

from datetime import UTC, datetime, timedelta

import pytest

from jobs import lifecycle, operator_actions
from jobs.callbacks import inbox
from jobs.callbacks.tokens import Try
from jobs.models import Callback, Job, Verdict
from vendors.models import Vendor
from webhooks.tests import adapters

PICKY = "adapters.callbacks.Picky"
CARELESS = "adapters.callbacks.Careless"
FORGETFUL = "adapters.callbacks.Forgetful"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
RESULT = {"name": "John Doe"}
BODY = b'{"name": "John Doe"}'


@pytest.fixture
def vendor(make_vendor):
    return make_vendor(adapter=PICKY)


def store(job, body=BODY, *, run=1, attempt=1, webhook_id="", now=NOW):
    vendor = Vendor.objects.get()
    return inbox.store(vendor, job.pk, Try(run, attempt), webhook_id=webhook_id, body=body, now=now)


def receive(job, body=BODY, **which):
    return inbox.apply(store(job, body, **which), Vendor.objects.get(), NOW)


def now_is(job):
    return Job.objects.get(pk=job.pk)


def overdue(make_job):
    """A job that failed because its callback did not come in time."""
    job = make_job(status="waiting", attempt=1, deadline_at=NOW)
    assert lifecycle.apply([lifecycle.overdue(job, repeat=False, now=LATER)]) == [True]
    return job


def test_an_early_callback_completes_a_job_whose_call_is_still_being_made(vendor, make_job):
    job = make_job(status="processing", attempt=1, started_at=NOW)
    assert receive(job) == Verdict.APPLIED
    assert (now_is(job).status, now_is(job).result) == ("complete", RESULT)
    assert lifecycle.apply([lifecycle.wait(job, deadline_at=LATER, now=NOW)]) == [False]
    assert now_is(job).status == "complete"


@pytest.mark.parametrize("status", ["queued", "processing", "waiting"])
def test_a_callback_for_an_earlier_attempt_of_the_run_completes_the_job(vendor, make_job, status):
    job = make_job(status=status, attempt=3, not_before=LATER if status == "queued" else None)
    assert receive(job, attempt=2) == Verdict.APPLIED
    assert (now_is(job).status, now_is(job).not_before) == ("complete", None)


@pytest.mark.parametrize("status", ["complete", "failed", "cancelled"])
def test_a_late_callback_is_kept_and_changes_nothing(vendor, make_job, status):
    job = make_job(status=status, attempt=1, result={"name": "Jane Doe"}, finished_at=NOW)
    assert receive(job) == Verdict.LATE
    assert (now_is(job).status, now_is(job).result) == (status, {"name": "Jane Doe"})
    assert Callback.objects.get().verdict == Verdict.LATE


def test_a_callback_for_a_cancelled_job_is_late(vendor, make_job):
    job = make_job(status="waiting", attempt=1)
    assert operator_actions.cancel(job, NOW)
    assert receive(job) == Verdict.LATE
    assert now_is(job).status == "cancelled"


@pytest.mark.parametrize("run", [1, 3])
def test_a_callback_for_another_run_is_late(vendor, make_job, run):
    job = make_job(status="waiting", attempt=2, run=2)
    assert receive(job, run=run) == Verdict.LATE
    assert now_is(job).status == "waiting"


def test_a_callback_for_an_attempt_that_the_row_has_not_reached_is_kept_for_later(vendor, make_job):
    job = make_job(status="queued", attempt=0)
    assert receive(job) is None
    Job.objects.update(status="waiting", attempt=1)
    assert inbox.apply_pending(LATER, older_than=timedelta(0), limit=9) == 1
    assert now_is(job).status == "complete"


def test_a_callback_for_an_unknown_job_is_unmatched(vendor, make_job):
    assert receive(Job.new()) == Verdict.UNMATCHED
    assert Callback.objects.get().verdict == Verdict.UNMATCHED


def test_of_two_different_callbacks_the_first_counts(vendor, make_job):
    job = make_job(status="waiting", attempt=1)
    assert receive(job) == Verdict.APPLIED
    assert receive(job, b'{"name": "Jane Doe"}') == Verdict.LATE
    assert receive(job, webhook_id="msg_2") == Verdict.LATE
    assert now_is(job).result == RESULT


def test_a_failure_reported_after_a_result_is_late(vendor, make_job):
    job = make_job(status="waiting", attempt=1)
    receive(job)
    assert receive(job, b'{"error": 1}') == Verdict.LATE
    assert now_is(job).status == "complete"


@pytest.mark.parametrize(("body", "status"), [(BODY, "complete"), (b'{"error": 1}', "failed")])
def test_a_crash_between_the_move_and_the_verdict_is_made_good_by_a_repeat(
    vendor, make_job, body, status
):
    job = make_job(status="waiting", attempt=1)
    receive(job, body)
    Callback.objects.update(verdict="")
    assert receive(job, body) == Verdict.APPLIED
    assert (now_is(job).status, Callback.objects.get().verdict) == (status, Verdict.APPLIED)


def test_somebody_who_comes_too_late_to_apply_a_callback_does_not_undo_its_verdict(
    vendor, make_job
):
    stale = store(make_job(status="waiting", attempt=1))
    assert inbox.apply(Callback.objects.get(), vendor, NOW) == Verdict.APPLIED
    assert inbox.apply(stale, None, NOW) == Verdict.LATE
    assert Callback.objects.get().verdict == Verdict.APPLIED


def test_what_a_crash_left_unapplied_is_applied_oldest_first_and_in_bounds(vendor, make_job):
    jobs = [make_job(status="waiting", attempt=1) for _ in range(3)]
    for minutes, job in enumerate(reversed(jobs)):
        store(job, now=NOW + timedelta(minutes=minutes))
    assert inbox.apply_pending(LATER, older_than=timedelta(0), limit=2) == 2
    assert [now_is(job).status for job in jobs] == ["waiting", "complete", "complete"]
    assert inbox.apply_pending(LATER, older_than=timedelta(0), limit=2) == 1
    assert inbox.apply_pending(LATER, older_than=timedelta(0), limit=2) == 0


def test_a_callback_that_is_just_being_applied_is_left_alone(vendor, make_job):
    job = make_job(status="waiting", attempt=1)
    store(job)
    assert (
        inbox.apply_pending(NOW + timedelta(seconds=9), older_than=timedelta(seconds=10), limit=9)
        == 0
    )
    assert (
        inbox.apply_pending(NOW + timedelta(seconds=10), older_than=timedelta(seconds=10), limit=9)
        == 1
    )


def test_a_callback_that_its_adapter_can_not_read_waits_for_a_better_adapter(
    vendor, make_job, caplog
):
    job = make_job(status="waiting", attempt=1)
    assert receive(job, b'{"surname": "Doe"}') == Verdict.UNREADABLE
    assert f"KeyError at {adapters.__file__}" in caplog.text
    assert f"KeyError at {adapters.__file__}" in Callback.objects.get().reason
    assert now_is(job).status == "waiting"
    Vendor.objects.update(adapter="async")
    assert receive(job, b'{"surname": "Doe"}') == Verdict.APPLIED
    assert Callback.objects.get().reason == ""


def test_the_log_does_not_say_for_ever_that_a_callback_can_not_be_read(vendor, make_job, caplog):
    receive(make_job(status="waiting", attempt=1), b'{"surname": "Doe"}')
    caplog.clear()
    assert inbox.apply_pending(LATER, older_than=timedelta(0), limit=9) == 0
    assert not caplog.records


def test_a_callback_that_its_adapter_makes_no_json_of_waits_for_a_better_adapter(
    make_vendor, make_job, caplog
):
    make_vendor(adapter=CARELESS)
    job = make_job(status="waiting", attempt=1)
    assert receive(job) == Verdict.UNREADABLE
    assert "TypeError" in caplog.text


def test_an_adapter_that_returns_no_done_is_named(make_vendor, make_job):
    make_vendor(adapter=FORGETFUL)
    assert receive(make_job(status="waiting", attempt=1)) == Verdict.UNREADABLE
    assert (
        Callback.objects.get().reason
        == f"read_callback returned dict and not Done in {adapters.__file__}"
    )


def test_callbacks_of_one_vendor_hold_up_no_other(make_vendor, make_job):
    make_vendor(slug="picky", adapter="async")
    acme = make_vendor(adapter="async")
    for slug, minutes in [("picky", 0), ("picky", 1), ("acme", 2)]:
        job = make_job(vendor=slug, status="waiting", attempt=1)
        vendor = Vendor.objects.get(slug=slug)
        moment = NOW + timedelta(minutes=minutes)
        inbox.store(
            vendor, job.pk, Try(1, 1), webhook_id="", body=b'{"surname": "Doe"}', now=moment
        )
    assert inbox.apply_pending(LATER, older_than=timedelta(0), limit=1) == 2
    assert Job.objects.get(vendor=acme.slug).status == "complete"


def test_a_callback_never_ends_a_job_of_another_vendor(vendor, make_vendor, make_job):
    store(make_job(status="waiting", attempt=1))
    make_vendor("globex", adapter=PICKY)
    Job.objects.update(vendor="globex")
    assert inbox.apply_pending(LATER, older_than=timedelta(0), limit=9) == 1
    assert (Job.objects.get().status, Callback.objects.get().verdict) == (
        "waiting",
        Verdict.UNMATCHED,
    )


def test_what_could_not_be_read_keeps_its_verdict_when_another_ends_the_job(vendor, make_job):
    job = make_job(status="waiting", attempt=1)
    assert receive(job, b'{"surname": "Doe"}') == Verdict.UNREADABLE
    assert receive(job) == Verdict.APPLIED
    assert inbox.apply_pending(LATER, older_than=timedelta(0), limit=9) == 0
    verdicts = Callback.objects.order_by("id").values_list("verdict", flat=True)
    assert list(verdicts) == [Verdict.UNREADABLE, Verdict.APPLIED]


def test_what_could_not_be_read_is_late_once_it_can_be(vendor, make_job):
    job = make_job(status="complete", attempt=1)
    assert receive(job, b'{"surname": "Doe"}') == Verdict.UNREADABLE
    Vendor.objects.update(adapter="async")
    assert receive(job, b'{"surname": "Doe"}') == Verdict.LATE


def test_a_callback_of_a_deleted_vendor_is_late(vendor, make_job):
    store(make_job(status="complete", attempt=1))
    vendor.delete()
    assert inbox.apply_pending(LATER, older_than=timedelta(0), limit=9) == 1
    assert Callback.objects.get().verdict == Verdict.LATE


def test_an_operator_may_apply_a_callback_that_came_after_its_deadline(vendor, make_job):
    job = overdue(make_job)
    assert receive(job) == Verdict.LATE
    assert inbox.apply_late(Callback.objects.get(), LATER)
    assert (now_is(job).status, now_is(job).result, now_is(job).error_code) == (
        "complete",
        RESULT,
        "",
    )
    assert Callback.objects.get().verdict == Verdict.APPLIED
    assert not inbox.apply_late(Callback.objects.get(), LATER)


def test_a_late_failure_completes_nothing(vendor, make_job):
    job = overdue(make_job)
    receive(job, b'{"error": 1}')
    assert not inbox.apply_late(Callback.objects.get(), LATER)
    assert now_is(job).error_code == "callback_overdue"


def test_a_late_callback_of_a_job_that_failed_otherwise_or_runs_again_stays_late(vendor, make_job):
    job = make_job(status="failed", attempt=1, error_code="vendor_error")
    receive(job)
    assert not inbox.apply_late(Callback.objects.get(), LATER)
    Job.objects.update(error_code="callback_overdue", run=2)
    assert not inbox.apply_late(Callback.objects.get(), LATER)
    assert (now_is(job).status, Callback.objects.get().verdict) == ("failed", Verdict.LATE)


def test_a_callback_with_no_verdict_is_not_late_yet(vendor, make_job):
    job = overdue(make_job)
    assert not inbox.apply_late(store(job), LATER)
    assert now_is(job).status == "failed"
