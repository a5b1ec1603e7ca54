"""Whether and when a failed attempt is retried: a table of cases."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.queue.health.breaker import Standing
from jobs.queue.health.throttle import Throttle
from jobs.retry import GiveUp, Retry, decide
from vendors.base import VendorError
from vendors.models import Credential, Vendor

DOWN = VendorError("vendor_error", "It answered 500.", outage=True)
CLOSED = Standing()
OPEN = Standing(open_seconds=4, in_outage=True)


def decision(error=DOWN, *, failures=0, standing=OPEN, chance=0.5, **vendor):
    vendor = Vendor(**vendor)
    return decide(error, failures=failures, vendor=vendor, standing=standing, chance=chance)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0)])
def test_the_delay_doubles_with_each_failure_and_has_full_jitter(failures, seconds):
    delayed = decision(failures=failures, standing=CLOSED)
    assert delayed == Retry(counts=True, delay_seconds=seconds)
    at_once = decision(failures=failures, standing=CLOSED, chance=0.0)
    assert at_once == Retry(counts=True, delay_seconds=0)


def test_the_delay_is_capped():
    capped = decision(failures=50, standing=CLOSED, max_attempts=100, chance=0.999)
    assert capped.delay_seconds < 300


def test_the_last_attempt_gives_up_with_the_vendors_error():
    message = "It answered 500. Gave up after 5 attempts."
    assert decision(failures=4, standing=CLOSED) == GiveUp("vendor_error", message)


def test_a_permanent_error_is_not_retried():
    refused = VendorError("invalid_input", "It answered 422.", permanent=True)
    assert decision(refused) == GiveUp("invalid_input", "It answered 422.")


def test_a_job_that_one_of_several_keys_throttles_is_called_with_another():
    error = VendorError("rate_limited", "It answered 429.", retry_after=timedelta(minutes=9))
    vendor = Vendor(slug="acme")
    assert _retried(error, vendor).delay_seconds == 541.5
    vendor.credential = Credential(definition={"header": "X", "keys_env": ["VENDOR_A", "VENDOR_B"]})
    assert _retried(error, vendor) == Retry(counts=False, delay_seconds=1.5)


def _retried(error, vendor):
    return decide(error, failures=0, vendor=vendor, standing=CLOSED, chance=0.5)


@pytest.mark.parametrize("code", ["invalid_input", "blocked"])
def test_a_job_that_cannot_succeed_fails_at_once(code):
    assert decision(VendorError(code, "No."), standing=CLOSED) == GiveUp(code, "No.")


THROTTLED = ("rate_limited", "It answered 429.")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
STREAK = Throttle(BEGAN, BEGAN + timedelta(seconds=40), is_new=True)


@pytest.mark.parametrize(
    ("asked", "throttle", "seconds"), [(3, None, 3), (3, STREAK, 3), (None, STREAK, 40)]
)
def test_a_throttled_job_comes_back_behind_another_one(asked, throttle, seconds):
    wait = timedelta(seconds=asked) if asked else None
    error = VendorError(*THROTTLED, permanent=True, retry_after=wait)
    retry = decision(error, failures=99, standing=Standing(throttle=throttle))
    assert retry == Retry(counts=False, delay_seconds=seconds + 1.5)


@pytest.mark.parametrize("permanent", [False, True])
def test_an_attempt_does_not_count_when_the_vendor_asks_for_payment(permanent):
    unpaid = VendorError("no_credits", "It answered 402.", permanent=permanent)
    retry = decision(unpaid, failures=99, standing=CLOSED, repeat_unknown=False)
    assert retry == Retry(counts=False)


def test_an_outage_does_not_count_while_the_breaker_is_open():
    assert decision(failures=99) == Retry(counts=False, delay_seconds=5.5)


def test_a_call_that_was_under_way_in_an_outage_does_not_count():
    retry = decision(failures=99, standing=Standing(in_outage=True))
    assert retry == Retry(counts=False, delay_seconds=1.5)


def test_a_bad_reply_counts_even_while_the_breaker_is_open():
    assert decision(VendorError("bad_reply", "No JSON."), failures=0).counts


def test_an_unknown_outcome_is_retried_only_if_repeat_unknown_is_on():
    unknown = VendorError("timeout", "No answer.", outage=True, outcome_known=False)
    assert decision(unknown, standing=CLOSED).counts
    assert decision(unknown, repeat_unknown=False).code == "outcome_unknown"


def test_denied_attempts_do_not_count_once_several_jobs_were_denied():
    denied = VendorError("auth", "It answered 401.")
    assert decision(denied, failures=99, standing=Standing(denied_jobs=3)) == Retry(counts=False)
    assert decision(denied, failures=0, standing=Standing(denied_jobs=2)).counts
    assert decision(DOWN, failures=0, standing=Standing(denied_jobs=3)).counts
