"""`manage.py replay --deliveries` applies stored callbacks that did not end their jobs, where they still can."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs.models import Delivery, Job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _acme(make_vendor, redis_client):
    make_vendor("acme", adapter="async")


@pytest.fixture
def make_delivery(make_job):
    """Make a job and a callback for it, a minute ago."""

    def make(verdict, status, vendor="acme", **job_fields):
        job = make_job(vendor=vendor, status=status, attempt=1, **job_fields)
        answer = {"body": {"info": "Processed async"}, "body_bytes": 26, "received_at": timezone.now() - timedelta(minutes=1)}
        return Delivery.objects.create(key=job.pk, vendor=vendor, job=job.pk, run=1, attempt=1, verdict=verdict, **answer)

    return make


def run(*arguments):
    out = StringIO()
    call_command("replay", "--deliveries", *arguments, stdout=out)
    return out.getvalue()


def state_of(delivery):
    job = Job.objects.get(pk=delivery.job)
    return job.status, job.result, Delivery.objects.get(pk=delivery.pk).verdict


DONE = ("complete", {"info": "Processed async"}, "applied")


def test_a_callback_without_a_verdict_is_applied(make_delivery):
    delivery = make_delivery("", "waiting")
    assert run("--yes") == "1 applied, 0 skipped\n"
    assert state_of(delivery) == DONE
    assert run("--yes") == "There is no callback to be applied.\n"


def test_a_late_callback_completes_the_job_that_failed_for_the_lack_of_it(make_delivery):
    delivery = make_delivery("late", "failed", error_code="callback_overdue", error_message="It did not come.")
    assert run("--yes") == "1 applied, 0 skipped\n"
    assert state_of(delivery) == DONE
    assert Job.objects.get(pk=delivery.job).error_code == ""


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
def test_a_late_callback_changes_no_other_job(make_delivery, status, fields):
    delivery = make_delivery("late", status, **fields)
    before = state_of(delivery)
    assert run("--yes") == "There is no callback to be applied.\n"
    assert state_of(delivery) == before


@pytest.mark.parametrize("verdict", ["applied", "unmatched", "refused"])
def test_a_callback_with_another_verdict_is_left_alone(make_delivery, verdict):
    delivery = make_delivery(verdict, "waiting")
    run("--yes")
    assert state_of(delivery) == ("waiting", None, verdict)


def test_which_callbacks_can_be_chosen_by_job_and_vendor(make_delivery, make_vendor):
    make_vendor("globex", adapter="async")
    first, second, third = (make_delivery("", "waiting", vendor=vendor) for vendor in ("acme", "globex", "globex"))
    assert run("--yes", "--id", second.job) == "1 applied, 0 skipped\n"
    assert run("--yes", "--vendor", "globex") == "1 applied, 0 skipped\n"
    assert (state_of(first)[0], state_of(third)) == ("waiting", DONE)


def test_a_dry_run_applies_nothing(make_delivery):
    late = make_delivery("late", "failed", error_code="callback_overdue")
    pending = make_delivery("", "waiting")
    assert run("--dry-run").splitlines() == [
        "2 callbacks would be applied.",
        f"  {pending.job}  acme  without a verdict",
        f"  {late.job}  acme  late",
    ]
    assert state_of(pending)[0] == "waiting"


def test_a_callback_that_came_too_late_after_all_is_skipped(make_delivery):
    delivery = make_delivery("", "cancelled")
    assert run("--yes") == "0 applied, 1 skipped\n"
    assert state_of(delivery) == ("cancelled", None, "late")
