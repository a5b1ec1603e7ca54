"""Workers use Redis' clock, not their own."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import Job, Status
from jobs.queue.clock import MAX_REPLY_SECONDS, RedisClock, redis_clock
from jobs.queue.heartbeat import Heartbeat
from jobs.recovery import sweep

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")
SECOND = timedelta(seconds=1)


class AnHourAhead(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(hours=1)


def test_the_last_reply_of_redis_sets_the_time():
    clock = RedisClock()
    clock.hear(1_000_000.0, time.monotonic())
    assert timedelta(0) <= clock.now() - datetime.fromtimestamp(1_000_000, UTC) < SECOND


def test_a_slow_reply_is_ignored():
    clock = RedisClock()
    clock.hear(1_000_000.0, time.monotonic() - MAX_REPLY_SECONDS)
    assert abs(clock.now() - datetime.now(UTC)) < SECOND


def test_a_worker_whose_clock_is_ahead_does_not_fail_callbacks_early(
    make_vendor, make_job, monkeypatch
):
    make_vendor()
    make_job(status=Status.WAITING, attempt=1, deadline_at=datetime.now(UTC) + timedelta(minutes=1))
    monkeypatch.setattr("jobs.queue.clock.datetime", AnHourAhead)
    Heartbeat("w").send()
    assert sweep.resolve_overdue_jobs() == 0
    assert Job.objects.get().status == "waiting"
    assert abs(redis_clock.now() - datetime.now(UTC)) < 5 * SECOND
