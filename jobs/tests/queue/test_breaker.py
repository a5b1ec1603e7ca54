"""A vendor's breaker: opens, lets one probe through, and recovers slowly."""

from datetime import timedelta

import pytest

from harness.limits import restore_own
from harness.waiting import wait_for
from jobs.models import Stream
from jobs.queue import limiter, stream
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.queue.take import take
from jobs.recovery import pending
from vendors import pauses
from vendors.base import Accepted, Done, VendorError
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("redis_client", "db")

VENDOR = Vendor(slug="acme", adapter="sync", max_attempts=3)


@pytest.fixture(autouse=True)
def queued(redis_client):
    restore_own("acme", [], [], [])
    stream.add("acme", [f"job-{n}" for n in range(20)], Stream.JOBS)


def report(*signals, probe="", **fields):
    """Report calls that started just now, or as `fields` say; return the last one's standing."""
    fields = {"started_us": redis_now_us(), **fields}
    return breaker.report(
        VENDOR, [Report(signal, probe, f"job-{n}", **fields) for n, signal in enumerate(signals)]
    )[-1]


def redis_now_us():
    seconds, microseconds = commands().time()
    return seconds * 1_000_000 + microseconds


def end_open_period():
    commands().hset(Keys("acme").state, "open_until", 1)


def probe():
    end_open_period()
    taken = take(VENDOR, "w", 10)
    assert len(taken.entries) == 1
    return taken.probe


def test_failures_in_a_row_open_the_breaker():
    assert not report("bad", "bad").is_open
    assert report("bad").is_open
    assert take(VENDOR, "w", 10).entries == []


def test_a_good_answer_between_failures_keeps_the_breaker_closed():
    assert not report("bad", "bad", "good", "bad", "bad").is_open


def test_an_answer_that_says_nothing_about_health_changes_nothing():
    assert report("bad", "bad", "none", "bad").is_open


def test_one_probe_is_let_through_at_a_time():
    report("bad", "bad", "bad")
    assert probe()
    second = take(VENDOR, "other", 10)
    assert (second.entries, list(second.listen)) == ([], [Keys("acme").freed])


def test_a_lost_probe_is_replaced_after_its_life():
    report("bad", "bad", "bad")
    probe()
    commands().hset(Keys("acme").state, "probe_until", 1)
    assert probe()


def test_only_the_holder_of_the_probe_closes_the_breaker():
    report("bad", "bad", "bad")
    token = probe()
    assert report("good", "good").is_open
    assert not report("good", probe=token).is_open


def test_a_failed_probe_keeps_the_breaker_open_for_longer():
    first = report("bad", "bad", "bad").open_seconds
    second = report("bad", probe=probe()).open_seconds
    assert 0.9 < first <= 1
    assert 1.9 < second <= 2


def test_a_probe_without_a_call_leaves_the_breaker_open_for_the_next():
    report("bad", "bad", "bad")
    assert report("none", probe=probe()).is_open
    assert probe()


def test_after_an_outage_concurrent_calls_grow_from_one():
    report("bad", "bad", "bad")
    token = probe()
    [entry] = pending_entries()
    report("good", probe=token)
    stream.settle("acme", [stream.Settlement(entry.job_id, entry, frees_slot=True)])
    assert len(take(VENDOR, "w", 10).entries) == 1
    assert take(VENDOR, "w", 10).entries == []
    report("good")
    assert len(take(VENDOR, "w", 10).entries) == 1


def test_good_calls_reported_together_count_separately():
    report("bad", "bad", "bad")
    token = probe()
    [entry] = pending_entries()
    report("good", probe=token)
    stream.settle("acme", [stream.Settlement(entry.job_id, entry, frees_slot=True)])
    report("good", "good", "good", "none", "good")
    assert len(take(VENDOR, "w", 10).entries) == 5


def test_calls_that_hang_since_before_the_outage_do_not_slow_the_recovery():
    assert len(take(VENDOR, "w", 5).entries) == 5
    taken_at = redis_now_us()
    report("bad", "bad", "bad")
    wait_for(
        lambda: redis_now_us() > taken_at + 2000,
        "a millisecond to pass: idle times of pending entries are in ms",
    )
    token = probe()
    [entry] = pending_entries()[-1:]
    report("good", probe=token)
    stream.settle("acme", [stream.Settlement(entry.job_id, entry, frees_slot=True)])
    assert len(take(VENDOR, "w", 10).entries) == 1
    assert take(VENDOR, "w", 10).entries == []


def test_a_probe_ends_with_its_entry_even_if_it_is_not_reported():
    report("bad", "bad", "bad")
    probe()
    [entry] = pending_entries()
    stream.settle(
        "acme",
        [stream.Settlement(entry.job_id, entry, frees_slot=True, requeue=stream.Requeue.ALWAYS)],
    )
    assert probe()


def pending_entries():
    return pending.entries_of("acme", "w")


def test_failures_of_calls_from_before_the_outage_do_not_reopen_the_breaker():
    before = redis_now_us()
    report("bad", "bad", "bad")
    report("good", probe=probe())
    late = report("bad", "bad", "bad", started_us=before)
    assert (late.is_open, late.in_outage) == (False, True)
    fresh = report("bad", "bad")
    assert (fresh.is_open, fresh.in_outage) == (False, False)
    assert report("bad").is_open


def test_after_a_flush_in_an_outage_the_last_attempt_of_a_job_opens_the_breaker(redis_client):
    assert report("bad", failures=2).in_outage


def test_failures_of_one_job_do_not_mark_an_answering_vendor_as_down():
    report("good")
    assert not report("bad", failures=2).in_outage


def test_the_first_throttled_answer_holds_the_vendor_and_one_probe_goes_first():
    standing = report(*["throttled"] * 5)
    assert standing.throttle.is_new
    assert standing.throttle.pause_seconds == 1  # however many answers there are
    assert not standing.in_outage
    assert take(VENDOR, "w", 10).entries == []
    assert probe()
    assert take(VENDOR, "other", 10).entries == []


def test_the_pause_is_as_long_as_the_vendor_has_throttled_us():
    since = report("throttled").throttle.since
    commands().hset(Keys("acme").state, "throttled_at", limiter.microseconds(since) - 60_000_000)
    late = report("throttled", "good", "bad", "denied").throttle
    assert not late.is_new  # calls from before the pause say nothing
    standing = report("throttled", probe=probe())
    assert standing.throttle.is_new
    assert 60 <= standing.throttle.pause_seconds < 61
    held = take(VENDOR, "w", 10)
    assert (held.entries, held.wait_seconds > 1) == ([], True)  # the rest of it is in the row
    assert held.wait_seconds < 1.2


@pytest.mark.parametrize(("answer", "is_open"), [("good", False), ("denied", False), ("bad", True)])
def test_any_other_answer_ends_the_streak(answer, is_open):
    report("throttled")
    standing = report(answer, probe=probe())
    assert (standing.throttle, standing.is_open) == (None, is_open)


def test_a_probe_without_an_answer_leaves_the_streak():
    since = report("throttled").throttle.since
    assert report("none", probe=probe()).throttle.since == since
    assert probe()


def test_a_throttled_call_from_before_the_last_probe_begins_no_streak():
    before = redis_now_us()
    report("throttled")
    report("good", probe=probe())
    assert report("throttled", started_us=before).throttle is None


def test_a_probe_that_is_throttled_ends_an_outage():
    report("bad", "bad", "bad")
    standing = report("throttled", probe=probe())
    assert (standing.in_outage, standing.throttle.is_new) == (False, True)


def test_the_row_continues_a_streak_that_redis_has_lost():
    now = limiter.moment(str(redis_now_us()))
    began, ended = now - timedelta(seconds=100), now - timedelta(seconds=1)
    pause = {"paused_at": began, "paused_until": ended, "pause_reason": pauses.THROTTLED}
    vendor = Vendor(slug="acme", adapter="sync", **pause)
    [standing] = breaker.report(vendor, [Report("throttled", "", "job-1", redis_now_us())])
    assert standing.throttle.since == began


def test_denied_jobs_in_a_row_count_once_each():
    assert report("denied").denied_jobs == 1
    assert report("denied", "denied").denied_jobs == 2
    assert report("denied").denied_jobs == 2  # both were denied before
    assert report("denied", "denied", "denied", "denied").denied_jobs == 3
    assert report("denied").denied_jobs == 3  # the streak goes on, also after a resume
    assert report("good").denied_jobs == 0
    assert report("denied").denied_jobs == 1


@pytest.mark.parametrize(
    ("answer", "signal"),
    [
        (Done({}), "good"),
        (Accepted(), "good"),
        (VendorError("vendor_error", "", outage=True), "bad"),
        (VendorError("invalid_input", "", permanent=True), "good"),
        (VendorError("auth", ""), "denied"),
        (VendorError("no_credits", ""), "good"),
        (VendorError("blocked", ""), "good"),
        (VendorError("rate_limited", ""), "throttled"),
        (VendorError("rate_limited", "", retry_after=timedelta(seconds=1)), "none"),
        (VendorError("adapter_failed", ""), "none"),
        (None, "none"),
    ],
)
def test_what_an_answer_says_about_the_vendors_health(answer, signal):
    assert breaker.signal_of(answer) == signal
