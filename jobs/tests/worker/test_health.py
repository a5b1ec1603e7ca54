"""Which answers pause their vendor, until when and why."""

from datetime import timedelta

import pytest

from jobs.models import Job, Stream
from jobs.queue.clock import redis_clock
from jobs.queue.stream import Entry
from jobs.worker.execution import Execution
from jobs.worker.health import Health
from vendors import pauses
from vendors.base import VendorError
from vendors.models import Vendor

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def report(vendor, *answers):
    executions = []
    for number, answer in enumerate(answers):
        job = Job(pk=f"job-{number}", vendor=vendor.slug, started_at=redis_clock.now())
        entry = Entry(vendor.slug, Stream.JOBS, f"{number}-1", job.pk, "")
        execution = Execution(vendor, entry, job, charged_at=0.0)
        execution.answer = answer
        executions.append(execution)
    Health().report(executions)
    return Vendor.objects.get(slug=vendor.slug)


def error(code, wait=None):
    return VendorError(code, "It went wrong.", retry_after=wait)


@pytest.mark.parametrize(
    ("answers", "seconds", "reason"),
    [
        ([error("rate_limited", MINUTE), error("rate_limited", 2 * MINUTE)], 120, pauses.SLOW_DOWN),
        ([error("rate_limited")] * 50, 1, pauses.THROTTLED),
        ([error("no_credits", 9 * DAY)], 9 * 86400, pauses.UNPAID_UNTIL_RESET),
        ([error("no_credits", 99 * DAY)], 32 * 86400, pauses.UNPAID_UNTIL_RESET),
        ([error("no_credits")], None, pauses.UNPAID),
        ([error("auth")] * 2 + [error("api_key_missing")], None, pauses.DENIED),
    ],
)
def test_the_row_says_until_when_the_vendor_is_paused_and_why(
    make_vendor, answers, seconds, reason
):
    vendor = report(make_vendor(), *answers)
    assert (vendor.pause_reason, vendor.paused_by) == (reason, "")
    assert vendor.paused == (seconds is None)
    if seconds:
        assert abs((vendor.paused_until - vendor.paused_at).total_seconds() - seconds) < 0.001


@pytest.mark.parametrize("code", ["auth", "invalid_input", "blocked", "vendor_error", "bad_reply"])
def test_two_answers_of_these_kinds_do_not_pause_a_vendor(make_vendor, code):
    vendor = report(make_vendor(), error(code), error(code))
    assert not vendor.is_paused(redis_clock.now())
