"""Retry-After follows queue, limits, pause, breaker and call durations. It is bounded, and costs
no query.
"""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import Status, Stream
from jobs.queue.backlog import backlog
from jobs.queue.held.hold import Hold, Kind
from jobs.queue.held.recent import recent_holds
from jobs.queue.keys import Keys
from jobs.queue.redis import hints
from vendors.models import Credential, Limit

# About requests and answers, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

KEYS = Keys("acme")


@pytest.fixture
def now(redis_client):
    seconds, microseconds = redis_client.time()
    return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)


@pytest.fixture
def queue(redis_client, now):
    """Queue `count` entries, the oldest `seconds` ago and the newest now."""

    def queue(count, seconds=100.0):
        for number in range(count):
            at = now - timedelta(seconds=seconds * (1 - number / max(count - 1, 1)))
            redis_client.xadd(
                KEYS.jobs, {"v": "1", "job": "x"}, id=f"{int(at.timestamp() * 1000)}-{number}"
            )

    return queue


@pytest.fixture
def post(client):
    """Post a job; return the status and Retry-After."""

    def post():
        answer = client.post(
            "/jobs", {"vendor": "acme", "name": "John Doe"}, content_type="application/json"
        )
        return answer.status_code, int(answer["Retry-After"])

    return post


@pytest.fixture
def shown(client, make_job):
    """Create a job and return the Retry-After of its answer."""

    def shown(**fields):
        backlog.__init__()
        return int(client.get(f"/jobs/{make_job(**fields).pk}")["Retry-After"])

    return shown


@pytest.fixture
def show_complete(client, make_job, now):
    """Show a complete job whose call took `seconds`."""

    def show(seconds):
        job = make_job(
            status="complete",
            result={},
            started_at=now - timedelta(seconds=seconds),
            finished_at=now,
        )
        client.get(f"/jobs/{job.pk}")

    return show


def test_a_new_job_in_an_empty_queue_is_polled_after_a_second(post, make_vendor, redis_client):
    make_vendor()
    assert post() == (202, 1)


def test_a_backlog_takes_as_long_as_the_rate_limits_need(post, make_vendor, queue):
    make_vendor(arrival_margin_ms=0, rate_limits="10/s, 60000/day")
    queue(500)
    assert post() == (202, 50)


def test_a_longer_window_counts_too(post, make_vendor, queue):
    make_vendor(arrival_margin_ms=0, rate_limits="100/s, 100/10s")
    queue(300)
    assert post() == (202, 30)


def test_limits_that_are_shared_count_units_and_keys(post, make_vendor, queue):
    keys = ["VENDOR_ONE", "VENDOR_TWO"]
    Credential.objects.create(slug="pool", definition={"header": "X-Key", "keys_env": keys})
    limits = {"team": {"windows": "100/s"}, "plan": {"windows": "30/s", "per": "credential"}}
    for slug, limit in limits.items():
        Limit.objects.create(slug=slug, definition={**limit, "arrival_margin_ms": 0})
    make_vendor(definition={"limits": [*limits], "credential": "pool", "weight": 2})
    queue(600)
    assert post() == (202, 20)


@pytest.mark.parametrize(("kind", "seconds"), [(Kind.QUOTA, 60), (Kind.LIMIT, 1)])
def test_a_spent_quota_holds_for_longer_than_a_window(
    post, make_vendor, monkeypatch, kind, seconds
):
    Limit.objects.create(slug="plan", definition={"quota": {"calls": 1, "period": "month"}})
    make_vendor(definition={"limits": ["plan"]})
    hold = Hold(kind, "plan", datetime.now(UTC) + timedelta(days=3))
    monkeypatch.setattr(recent_holds, "of", lambda _: {"acme": hold})
    assert post() == (202, seconds)


def test_a_job_waits_only_for_jobs_before_it(shown, make_vendor, queue, now):
    make_vendor(arrival_margin_ms=0, rate_limits="10/s")
    queue(500)
    a_tenth_of_its_age = (10, 11)
    assert shown(queued_at=now - timedelta(seconds=100)) in a_tenth_of_its_age
    assert 24 <= shown(queued_at=now - timedelta(seconds=50)) <= 27
    assert 49 <= shown(queued_at=now) <= 51


def test_a_retry_does_not_wait_for_first_attempts(shown, make_vendor, queue, now):
    make_vendor(arrival_margin_ms=0, rate_limits="10/s")
    queue(500)
    assert shown(queued_at=now, stream=Stream.RETRIES, attempt=1) == 1


@pytest.mark.parametrize(
    ("fields", "seconds"), [({"paused": True}, {60}), ({"paused_until": 20}, {20, 21}), ({}, {1})]
)
def test_a_queued_job_waits_for_the_end_of_a_pause(shown, make_vendor, now, fields, seconds):
    if "paused_until" in fields:
        fields = {"paused_until": now + timedelta(seconds=fields["paused_until"] + 0.5)}
    make_vendor(**fields)
    assert shown(queued_at=now) in seconds


def test_a_new_job_waits_for_the_end_of_a_pause(post, make_vendor, redis_client):
    make_vendor(paused=True)
    assert post() == (202, 60)


def test_a_new_job_waits_for_an_open_breaker(post, make_vendor, redis_client, now):
    make_vendor()
    redis_client.hset(KEYS.state, "open_until", int((now.timestamp() + 30.5) * 1e6))
    assert post()[1] in (30, 31)


def test_a_retry_waits_for_its_earliest_start(shown, make_vendor, now):
    make_vendor()
    assert shown(queued_at=now, not_before=now + timedelta(seconds=15.5)) in (15, 16)


def test_calls_are_expected_to_take_as_long_as_recent_ones(
    show_complete, shown, post, make_vendor, now
):
    make_vendor()
    show_complete(5)
    assert post() == (202, 5)
    assert shown(status="processing", started_at=now - timedelta(seconds=2)) in (2, 3)


def test_a_backlog_takes_as_long_as_its_calls_at_the_present_concurrency(
    show_complete, post, make_vendor, redis_client, queue
):
    make_vendor()
    show_complete(2)
    queue(100)
    redis_client.zadd(KEYS.in_flight, {str(number): 1 for number in range(10)})
    assert post() == (202, 22)  # 100 jobs, 10 at a time, 2 s each, and then its own 2 s


@pytest.mark.parametrize("status", [Status.QUEUED, Status.PROCESSING, Status.WAITING])
def test_an_old_job_is_polled_less_often(shown, make_vendor, now, status):
    make_vendor()
    for waited, seconds in [(0, 1), (200, 20), (3600, 60)]:
        at = now - timedelta(seconds=waited)
        assert shown(status=status, queued_at=at, started_at=at) in (seconds, seconds + 1)


def test_retry_after_stays_bounded_without_redis(shown, post, make_vendor, now, settings):
    make_vendor(arrival_margin_ms=0, rate_limits="1/s")
    settings.REDIS_URL = "redis://127.0.0.1:9"
    hints.cache_clear()
    backlog.__init__()
    assert post() == (202, 1)
    assert shown(queued_at=now) == 1
    assert shown(queued_at=now - timedelta(hours=1)) == 60


@pytest.mark.parametrize("limits", ["1/31day", "1000000/s", "1/s, 1/min, 1/h, 1/day", "broken"])
@pytest.mark.parametrize("count", [0, 300])
def test_retry_after_is_bounded_whatever_the_limits(post, make_vendor, queue, limits, count):
    make_vendor(arrival_margin_ms=0, rate_limits=limits)
    queue(count)
    assert 1 <= post()[1] <= 60


def test_a_job_of_a_deleted_vendor_is_polled_once_a_minute(shown, now):
    assert shown(queued_at=now) == 60


def test_redis_keys_of_another_type_do_no_harm(post, make_vendor, redis_client):
    make_vendor()
    for key in (KEYS.jobs, KEYS.retries, KEYS.in_flight, KEYS.state):
        redis_client.set(key, "x")
    assert post() == (202, 1)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [({"rate_limits": "1/s", "arrival_margin_ms": 0}, 30), ({"paused": True}, 60), ({}, 10)],
)
def test_a_full_queue_is_retried_when_a_tenth_is_done(post, make_vendor, queue, fields, seconds):
    make_vendor(max_queued=300, **fields)
    queue(300)
    assert post() == (429, seconds)


def test_many_requests_share_one_query_to_redis_and_store(
    client, make_vendor, make_job, redis_client, django_assert_max_num_queries
):
    make_vendor()
    job = make_job()
    redis_client.config_resetstat()
    with django_assert_max_num_queries(20 + 2 * 4):  # the vendors, every half second
        for _ in range(20):
            client.get(f"/jobs/{job.pk}")
    stats = redis_client.info("commandstats")
    assert stats["cmdstat_zcard"]["calls"] <= 4
    assert stats["cmdstat_evalsha"]["calls"] <= 4  # what holds it, once in half a second


def test_500_queued_jobs_are_polled_less_than_60_times_a_second(shown, make_vendor, queue, now):
    """Obedient clients poll a backlog of 500 jobs that is worked off at 10/s."""
    make_vendor(arrival_margin_ms=0, rate_limits="10/s")
    queue(500, seconds=1)
    seconds = [shown(queued_at=now - timedelta(seconds=1 - number / 20)) for number in range(20)]
    polls_a_second = sum(1 / each for each in seconds) / len(seconds) * 500
    assert polls_a_second < 60
