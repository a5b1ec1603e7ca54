"""After Redis lost its data, log and in-flight set are rebuilt before any call is permitted."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from harness.limits import restore_own
from jobs.models import Attempt, Job, Status
from jobs.queue import limiter
from jobs.queue.keys import Keys
from jobs.queue.take import take
from jobs.recovery import in_flight
from jobs.recovery.rebuild import rebuild
from jobs.tests.queue.test_limiter import queue, vendor_with
from jobs.worker.execute import execute
from jobs.worker.execution import Execution
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("redis_client")

SECOND = 1_000_000


def log_of(redis_client, slug):
    return [int(start) for start in redis_client.lrange(Keys(slug).log, 0, -1)]


def now_us():
    return time.time_ns() // 1000


def test_take_is_stale_after_redis_lost_its_data(redis_client):
    vendor = vendor_with("5/s")
    redis_client.flushall()
    queue(vendor, 1)
    assert take(vendor, "w", 1).stale


@pytest.mark.django_db
def test_rebuild_restores_log_and_slots_from_the_rows(redis_client, make_vendor, make_job):
    vendor = make_vendor(rate_limits="5/min", max_in_flight=3)
    now = datetime.now(UTC)
    for seconds in (1, 2, 70):
        at = now - timedelta(seconds=seconds)
        Attempt.objects.create(
            job="j",
            vendor="acme",
            run=1,
            number=1,
            worker="w",
            started_at=at,
            ended_at=at,
            outcome="found",
        )
    make_job(status=Status.WAITING)
    running = make_job(status=Status.PROCESSING)
    make_job(status=Status.QUEUED)
    assert rebuild([vendor]) == [vendor]
    assert redis_client.llen(Keys("acme").log) == 3
    assert redis_client.zcard(Keys("acme").in_flight) == 2
    assert running.pk in redis_client.zrange(Keys("acme").in_flight, 0, -1)


def test_take_is_stale_when_limits_need_more_starts_than_the_log_holds():
    vendor = vendor_with("5/s")
    assert not take(vendor, "w", 1).stale
    assert take(Vendor(slug=vendor.slug, adapter="sync", rate_limits="50/min"), "w", 1).stale
    assert not take(Vendor(slug=vendor.slug, adapter="sync", rate_limits="3/s"), "w", 1).stale


def test_take_is_stale_when_limits_need_a_longer_log():
    vendor = vendor_with("5/s")
    assert take(Vendor(slug=vendor.slug, adapter="sync", rate_limits="5/min"), "w", 1).stale


@pytest.mark.parametrize("stream_name", ["jobs", "retries"])
def test_a_deleted_stream_is_created_again(redis_client, stream_name):
    vendor = vendor_with()
    redis_client.delete(getattr(Keys(vendor.slug), stream_name))
    assert take(vendor, "w", 1).stale
    restore_own(vendor.slug, [], [], [])
    queue(vendor, 1)
    assert len(take(vendor, "w", 1).entries) == 1


def test_take_is_stale_when_only_the_log_was_deleted(redis_client):
    vendor = vendor_with("5/s")
    queue(vendor, 2)
    take(vendor, "w", 1)
    redis_client.delete(Keys(vendor.slug).log)
    assert take(vendor, "w", 1).stale
    restore_own(vendor.slug, vendor.windows, [], [])
    assert len(take(vendor, "w", 1).entries) == 1


def test_a_start_known_in_milliseconds_is_rounded_up(redis_client):
    vendor = Vendor(slug="acme", adapter="sync", rate_limits="5/s")
    at = now_us() - SECOND // 2
    in_milliseconds = at // 1000 * 1000  # as MongoDB keeps it
    restore_own("acme", vendor.windows, [in_milliseconds], [])
    assert 0 <= log_of(redis_client, "acme")[0] - at < 1000


def test_a_call_in_progress_counts_as_started_now(redis_client):
    vendor = Vendor(slug="acme", adapter="sync", rate_limits="5/min")
    before = now_us()
    restore_own("acme", vendor.windows, [], [], calling_us=[before - 30 * SECOND])
    assert log_of(redis_client, "acme")[0] >= before


def test_a_long_call_trimmed_from_the_log_counts_when_limits_need_a_longer_log(
    redis_client,
):
    vendor = vendor_with("2/s")
    queue(vendor, 2)
    known = [int(entry.charge) for entry in take(vendor, "w", 2).entries]
    longer = Vendor(slug=vendor.slug, adapter="sync", rate_limits="3/min")
    restore_own(
        vendor.slug, longer.windows, [], [], calling_us=[known[0] - 20 * SECOND, known[0] + 5]
    )
    assert log_of(redis_client, vendor.slug) == [*reversed(known), known[0]]


def test_a_rebuilder_that_lost_its_lock_changes_nothing(redis_client):
    vendor = vendor_with("5/s")
    redis_client.flushall()
    redis_client.set(Keys(vendor.slug).rebuilder, "another")
    assert not restore_own(vendor.slug, vendor.windows, [], [], token="late")
    assert take(vendor, "w", 1).stale
    assert redis_client.get(Keys(vendor.slug).rebuilder) == "another"


@pytest.fixture
def late_job(redis_client, make_job):
    """A job that was taken. Redis then lost its slot, before its row recorded the start."""
    vendor = vendor_with(max_in_flight=1)
    queue(vendor, 2)
    [entry] = take(vendor, "slow", 1).entries
    redis_client.flushall()
    restore_own(vendor.slug, vendor.windows, [], [])
    queue(vendor, 1)
    return Execution(
        vendor, entry, Job(vendor=vendor.slug), time.monotonic() - 2 * limiter.PERMIT_SECONDS
    )


def test_renewing_a_permit_takes_a_lost_slot_again(late_job):
    renewal = limiter.renew(late_job.vendor, late_job.job.pk, "")
    assert renewal.granted
    assert take(late_job.vendor, "quick", 1).entries == []


def test_a_job_that_lost_its_slot_to_another_is_not_called(late_job):
    assert len(take(late_job.vendor, "quick", 1).entries) == 1
    execute(late_job)
    assert late_job.answer is None


@pytest.mark.django_db
def test_a_large_in_flight_set_is_corrected_in_chunks(redis_client, make_job, monkeypatch):
    monkeypatch.setattr(in_flight, "CHUNK", 2)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    waiting = {make_job(status=Status.WAITING, started_at=long_ago).pk for _ in range(5)}
    redis_client.zadd(Keys("acme").in_flight, {f"gone{number}": 1 for number in range(5)})
    redis_client.zadd(Keys("acme").in_flight, {job_id: 1 for job_id in sorted(waiting)[:2]})
    assert [in_flight.correct("acme"), in_flight.correct("acme")] == [8, 0]
    assert set(redis_client.zrange(Keys("acme").in_flight, 0, -1)) == waiting


@pytest.mark.django_db
def test_a_rebuild_with_lower_limits_keeps_the_longer_log(redis_client, make_vendor):
    vendor = make_vendor(rate_limits="2/min")
    rebuild([vendor])
    queue(vendor, 3)
    for entry in take(vendor, "w", 2).entries:
        at = limiter.moment(entry.charge)
        Attempt.objects.create(
            job="j",
            vendor="acme",
            run=1,
            number=1,
            worker="w",
            started_at=at,
            ended_at=at,
            outcome="found",
        )
    redis_client.delete(Keys("acme").log)
    lower = Vendor(slug="acme", adapter="sync", rate_limits="1/s", version=vendor.version)
    assert take(lower, "w", 0).stale
    rebuild([lower])
    assert len(log_of(redis_client, "acme")) == 2


@pytest.mark.django_db
def test_a_start_is_never_rebuilt_earlier_than_it_was(make_vendor, redis_client):
    acme, now = make_vendor(rate_limits="10/min"), datetime.now(UTC)
    at = (now - timedelta(seconds=2)).replace(microsecond=123_456)
    Attempt.objects.create(
        job="job",
        vendor="acme",
        run=1,
        number=1,
        worker="w",
        started_at=at,
        ended_at=at,
        outcome="found",
    )
    rebuild([acme])
    [start_us] = log_of(redis_client, "acme")
    assert limiter.microseconds(at) <= start_us < limiter.microseconds(at) + 1000
