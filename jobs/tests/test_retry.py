"""Whether and when a failed try is made again: a table of cases."""

from datetime import timedelta

import pytest

from jobs.queue.breaker import Standing
from jobs.retry import GiveUp, Retry, decide
from vendors.base import VendorError
from vendors.models import Vendor

DOWN = VendorError("vendor_error", "It answered 500.", outage=True)
OPEN = Standing(open_seconds=4, in_outage=True)


def decision(error=DOWN, *, failures=0, standing=OPEN, chance=0.5, **vendor):
    return decide(
        error, failures=failures, vendor=Vendor(**vendor), standing=standing, chance=chance
    )


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0)])
def test_the_delay_doubles_and_is_jittered_in_full(failures, seconds):
    assert decision(failures=failures, standing=Standing()) == Retry(
        counts=True, delay_seconds=seconds
    )
    assert decision(failures=failures, standing=Standing(), chance=0.0) == Retry(
        counts=True, delay_seconds=0
    )


def test_the_delay_has_a_cap():
    assert (
        decision(failures=50, standing=Standing(), max_attempts=100, chance=0.999).delay_seconds
        < 300
    )


def test_the_last_try_gives_up_with_the_vendors_error():
    assert decision(failures=4, standing=Standing()) == GiveUp(
        "vendor_error", "It answered 500. Tried 5 times."
    )


def test_a_permanent_error_is_not_tried_again():
    assert decision(VendorError("vendor_refused", "It answered 422.", permanent=True)) == GiveUp(
        "vendor_refused", "It answered 422."
    )


def test_a_throttled_try_does_not_count():
    throttled = VendorError(
        "vendor_throttled", "It answered 429.", retry_after=timedelta(seconds=3)
    )
    assert decision(throttled, failures=99, standing=Standing()) == Retry(counts=False)


@pytest.mark.parametrize("permanent", [False, True])
def test_a_vendor_that_asks_for_payment_burns_no_attempt(permanent):
    unpaid = VendorError("payment_required", "It answered 402.", permanent=permanent)
    assert decision(unpaid, failures=99, standing=Standing(), repeat_unknown=False) == Retry(
        counts=False
    )


def test_an_outage_does_not_count_while_the_breaker_is_open():
    assert decision(failures=99) == Retry(counts=False, delay_seconds=5.5)


def test_what_was_under_way_in_an_outage_that_is_over_does_not_count():
    assert decision(failures=99, standing=Standing(in_outage=True)) == Retry(
        counts=False, delay_seconds=1.5
    )


def test_a_refusal_counts_even_while_the_breaker_is_open():
    assert decision(VendorError("bad_reply", "No JSON."), failures=0).counts


def test_an_unknown_outcome_is_repeated_only_where_the_vendor_is_set_so():
    unknown = VendorError("vendor_timeout", "No answer.", outage=True, outcome_known=False)
    assert decision(unknown, standing=Standing()).counts
    assert decision(unknown, repeat_unknown=False).code == "outcome_unknown"


def test_a_vendor_that_denies_several_jobs_burns_none():
    denied = VendorError("vendor_denied", "It answered 401.")
    assert decision(denied, failures=99, standing=Standing(denied_jobs=3)) == Retry(counts=False)
    assert decision(denied, failures=0, standing=Standing(denied_jobs=2)).counts
    assert decision(DOWN, failures=0, standing=Standing(denied_jobs=3)).counts
