"""`manage.py replay --callbacks` applies stored callbacks that did not finish their job but still
can.
"""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs.models import Callback, Job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _acme(make_vendor, redis_client):
    make_vendor("acme", adapter="async")


@pytest.fixture
def make_callback(make_job):
    """Return a function that makes a job, and a callback for it received a minute ago."""

    def make(verdict, status, vendor="acme", **job_fields):
        job = make_job(vendor=vendor, status=status, attempt=1, **job_fields)
        answer = {
            "body": {"info": "Processed async"},
            "body_bytes": 26,
            "received_at": timezone.now() - timedelta(minutes=1),
        }
        return Callback.objects.create(
            key=job.pk, vendor=vendor, job=job.pk, run=1, attempt=1, verdict=verdict, **answer
        )

    return make


def run(*arguments):
    out = StringIO()
    call_command("replay", "--callbacks", *arguments, stdout=out)
    return out.getvalue()


def state_of(callback):
    job = Job.objects.get(pk=callback.job)
    return job.status, job.result, Callback.objects.get(pk=callback.pk).verdict


DONE = ("complete", {"info": "Processed async"}, "applied")


def test_callback_without_a_verdict_is_applied(make_callback):
    callback = make_callback("", "waiting")
    assert run("--yes") == "1 applied, 0 skipped\n"
    assert state_of(callback) == DONE
    assert run("--yes") == "No callbacks to apply.\n"


def test_deliveries_is_the_old_name_of_the_option(make_callback):
    callback, out = make_callback("", "waiting"), StringIO()
    call_command("replay", "--deliveries", "--yes", stdout=out)
    assert out.getvalue() == "1 applied, 0 skipped\n"
    assert state_of(callback) == DONE


def test_late_callback_completes_the_overdue_job(make_callback):
    callback = make_callback(
        "late", "failed", error_code="callback_overdue", error_message="It did not come."
    )
    assert run("--yes") == "1 applied, 0 skipped\n"
    assert state_of(callback) == DONE
    assert Job.objects.get(pk=callback.job).error_code == ""


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        ("failed", {"error_code": "vendor_rejected"}),
        ("failed", {"error_code": "callback_overdue", "run": 2}),
        ("cancelled", {}),
        ("complete", {"result": {"info": "another"}}),
        ("queued", {"run": 2}),
    ],
    ids=str,
)
def test_late_callback_changes_only_an_overdue_job(make_callback, status, fields):
    callback = make_callback("late", status, **fields)
    before = state_of(callback)
    assert run("--yes") == "No callbacks to apply.\n"
    assert state_of(callback) == before


@pytest.mark.parametrize("verdict", ["applied", "refused"])
def test_applied_and_refused_callbacks_are_not_replayed(make_callback, verdict):
    callback = make_callback(verdict, "waiting")
    run("--yes")
    assert state_of(callback) == ("waiting", None, verdict)


def test_job_and_vendor_options_choose_the_callbacks(make_callback, make_vendor):
    make_vendor("globex", adapter="async")
    first, second, third = (
        make_callback("", "waiting", vendor=vendor) for vendor in ("acme", "globex", "globex")
    )
    assert run("--yes", "--id", second.job) == "1 applied, 0 skipped\n"
    assert run("--yes", "--vendor", "globex") == "1 applied, 0 skipped\n"
    assert (state_of(first)[0], state_of(third)) == ("waiting", DONE)


def test_dry_run_applies_nothing(make_callback):
    late = make_callback("late", "failed", error_code="callback_overdue")
    pending = make_callback("", "waiting")
    assert run("--dry-run").splitlines() == [
        "2 callbacks would be applied.",
        f"  {pending.job}  acme  without a verdict",
        f"  {late.job}  acme  late",
    ]
    assert state_of(pending)[0] == "waiting"


@pytest.mark.parametrize("verdict", ["", "unmatched", "unreadable"])
def test_dry_run_leaves_out_callbacks_of_ended_jobs(make_callback, verdict):
    callback = make_callback(verdict, "cancelled")
    assert run("--dry-run") == "0 callbacks would be applied.\n"
    assert run("--yes") == "No callbacks to apply.\n"
    assert state_of(callback) == ("cancelled", None, verdict)


@pytest.mark.parametrize("verdict", ["unmatched", "unreadable"])
def test_unmatched_and_unreadable_callbacks_are_applied_once_they_can_be(make_callback, verdict):
    callback = make_callback(verdict, "waiting")
    assert run("--yes") == "1 applied, 0 skipped\n"
    assert state_of(callback) == DONE


@pytest.mark.parametrize("verdict", ["", "unreadable"])
def test_callback_not_applied_in_time_completes_the_overdue_job(make_callback, verdict):
    callback = make_callback(
        verdict, "failed", error_code="callback_overdue", error_message="It did not come."
    )
    assert run("--yes") == "1 applied, 0 skipped\n"
    assert state_of(callback) == DONE


def test_dry_run_leaves_out_callbacks_that_the_adapter_cannot_read(make_callback, make_vendor):
    make_vendor("picky", adapter="adapters.callbacks.Picky")
    callback = make_callback("", "waiting", vendor="picky")
    assert run("--dry-run") == "0 callbacks would be applied.\n"
    assert state_of(callback)[0] == "waiting"


def test_dry_run_leaves_out_callbacks_of_jobs_that_another_completed(make_callback, make_vendor):
    make_vendor("picky", adapter="adapters.callbacks.Picky")
    first = make_callback("unreadable", "complete", vendor="picky", result={"name": "x"})
    assert run("--dry-run") == "0 callbacks would be applied.\n"
    assert state_of(first) == ("complete", {"name": "x"}, "unreadable")


def test_callback_of_another_vendor_is_not_applied(make_callback, make_vendor):
    make_vendor("globex", adapter="async")
    callback = make_callback("", "waiting")
    Job.objects.update(vendor="globex")
    assert run("--yes") == "No callbacks to apply.\n"
    assert state_of(callback) == ("waiting", None, "")
