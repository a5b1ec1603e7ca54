"""Workers go by Redis' clock, not by their own."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import Job, Status
from jobs.queue.clock import TRUSTED_SECONDS, Clock, clock
from jobs.queue.heartbeat import Heartbeat
from jobs.recovery import sweep

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")


class AnHourAhead(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(hours=1)


def test_what_redis_said_last_is_the_time():
    ours = Clock()
    ours.hear(1_000_000.0, time.monotonic())
    assert (
        timedelta(0) <= ours.now() - datetime.fromtimestamp(1_000_000, UTC) < timedelta(seconds=1)
    )


def test_an_answer_that_took_long_says_nothing_of_now():
    ours = Clock()
    ours.hear(1_000_000.0, time.monotonic() - TRUSTED_SECONDS)
    assert abs(ours.now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_a_worker_whose_own_clock_is_ahead_gives_up_no_callback_early(
    make_vendor, make_job, monkeypatch
):
    make_vendor()
    make_job(status=Status.WAITING, attempt=1, deadline_at=datetime.now(UTC) + timedelta(minutes=1))
    monkeypatch.setattr("jobs.queue.clock.datetime", AnHourAhead)
    Heartbeat("w").send()
    assert sweep.callbacks_overdue() == 0
    assert Job.objects.get().status == "waiting"
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
