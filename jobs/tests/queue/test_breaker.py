"""The breaker of a vendor: opens, lets one probe through, and comes back slowly."""

import pytest

from harness.waiting import wait_for
from jobs.models import Stream
from jobs.queue import breaker, limiter, stream
from jobs.queue.breaker import Report
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.queue.take import take
from vendors.base import Accepted, Done, VendorError
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("redis_client")

VENDOR = Vendor(slug="acme", adapter="sync", max_attempts=3)


@pytest.fixture(autouse=True)
def queued(redis_client):
    limiter.rebuild("acme", [], [], [])
    stream.add("acme", [f"job-{n}" for n in range(20)], Stream.JOBS)


def report(*outcomes, probe="", **fields):
    """Report calls that were started just now, or as `fields` say; the last one's standing is
    returned.
    """
    fields = {"started_us": redis_now_us(), **fields}
    return breaker.report(
        VENDOR, [Report(outcome, probe, f"job-{n}", **fields) for n, outcome in enumerate(outcomes)]
    )[-1]


def redis_now_us():
    seconds, microseconds = commands().time()
    return seconds * 1_000_000 + microseconds


def end_the_pause():
    commands().hset(Keys("acme").state, "open_until", 1)


def probe():
    end_the_pause()
    taken = take(VENDOR, "w", 10)
    assert len(taken.entries) == 1
    return taken.probe


def test_failures_in_a_row_open_it():
    assert not report("bad", "bad").is_open
    assert report("bad").is_open
    assert take(VENDOR, "w", 10).entries == []


def test_a_good_answer_between_failures_keeps_it_closed():
    assert not report("bad", "bad", "good", "bad", "bad").is_open


def test_what_says_nothing_of_the_vendors_health_changes_nothing():
    assert report("bad", "bad", "none", "bad").is_open


def test_one_probe_goes_through_at_a_time():
    report("bad", "bad", "bad")
    assert probe()
    second = take(VENDOR, "other", 10)
    assert (second.entries, list(second.listen)) == ([], [Keys("acme").freed])


def test_a_probe_that_never_came_back_makes_room_for_the_next():
    report("bad", "bad", "bad")
    probe()
    commands().hset(Keys("acme").state, "probe_until", 1)
    assert probe()


def test_only_the_probes_holder_closes_it():
    report("bad", "bad", "bad")
    token = probe()
    assert report("good", "good").is_open
    assert not report("good", probe=token).is_open


def test_a_failed_probe_opens_it_for_longer():
    first = report("bad", "bad", "bad").open_seconds
    second = report("bad", probe=probe()).open_seconds
    assert 0.9 < first <= 1
    assert 1.9 < second <= 2


def test_a_probe_that_made_no_call_leaves_it_open_for_the_next():
    report("bad", "bad", "bad")
    assert report("none", probe=probe()).is_open
    assert probe()


def test_after_an_outage_calls_grow_back_from_one():
    report("bad", "bad", "bad")
    token = probe()
    [entry] = [e for e in _pending()]
    report("good", probe=token)
    stream.settle("acme", [stream.Settlement(entry.job_id, entry, frees_slot=True)])
    assert len(take(VENDOR, "w", 10).entries) == 1
    assert take(VENDOR, "w", 10).entries == []
    report("good")
    assert len(take(VENDOR, "w", 10).entries) == 1


def test_good_calls_that_are_told_together_count_each():
    report("bad", "bad", "bad")
    token = probe()
    [entry] = _pending()
    report("good", probe=token)
    stream.settle("acme", [stream.Settlement(entry.job_id, entry, frees_slot=True)])
    report("good", "good", "good", "none", "good")
    assert len(take(VENDOR, "w", 10).entries) == 5


def test_calls_that_still_hang_from_before_the_outage_do_not_hold_up_the_recovery():
    assert len(take(VENDOR, "w", 5).entries) == 5
    taken_at = redis_now_us()
    report("bad", "bad", "bad")
    wait_for(
        lambda: redis_now_us() > taken_at + 2000,
        "a millisecond to pass: pending entries know no shorter times",
    )
    token = probe()
    [entry] = _pending()[-1:]
    report("good", probe=token)
    stream.settle("acme", [stream.Settlement(entry.job_id, entry, frees_slot=True)])
    assert len(take(VENDOR, "w", 10).entries) == 1
    assert take(VENDOR, "w", 10).entries == []


def test_a_probe_ends_with_its_entry_though_nobody_reports_it():
    report("bad", "bad", "bad")
    probe()
    [entry] = _pending()
    stream.settle(
        "acme",
        [stream.Settlement(entry.job_id, entry, frees_slot=True, requeue=stream.Requeue.ALWAYS)],
    )
    assert probe()


def _pending():
    from jobs.recovery.pending import pending

    return pending("acme", "w")


def test_failures_of_calls_from_before_the_outage_do_not_open_it_again():
    before = redis_now_us()
    report("bad", "bad", "bad")
    report("good", probe=probe())
    late = report("bad", "bad", "bad", started_us=before)
    assert (late.is_open, late.in_outage) == (False, True)
    fresh = report("bad", "bad")
    assert (fresh.is_open, fresh.in_outage) == (False, False)
    assert report("bad").is_open


def test_after_a_flush_in_an_outage_a_job_at_its_last_try_opens_it_and_is_spared(redis_client):
    assert report("bad", failures=2).in_outage


def test_a_vendor_that_has_answered_is_not_down_for_one_jobs_failures():
    report("good")
    assert not report("bad", failures=2).in_outage


def test_jobs_that_are_denied_in_a_row_are_counted_once_each():
    assert report("denied").denied_jobs == 1
    assert report("denied").denied_jobs == 1  # the same job again
    assert report("denied", "denied", "denied").denied_jobs == 3
    assert report("good").denied_jobs == 0


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Done({}), "good"),
        (Accepted(), "good"),
        (VendorError("vendor_error", "", outage=True), "bad"),
        (VendorError("vendor_refused", "", permanent=True), "good"),
        (VendorError("vendor_denied", ""), "denied"),
        (VendorError("payment_required", ""), "good"),
        (VendorError("vendor_throttled", ""), "none"),
        (VendorError("adapter_failed", ""), "none"),
        (None, "none"),
    ],
)
def test_what_an_answer_says_of_the_vendor(answer, outcome):
    assert breaker.outcome(answer) == outcome
