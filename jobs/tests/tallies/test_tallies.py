"""What is counted, and how it reaches the store."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from jobs import lifecycle, tallies
from jobs.api import intake
from jobs.models import Job
from jobs.queue.clock import redis_clock
from jobs.tallies import read
from vendors.base import Done

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = {"worker": "w", "run_token": "t"}


def claimed(job: Job, seconds_ago: float = 0.4) -> Job:
    now = redis_clock.now() - timedelta(seconds=seconds_ago)
    [found] = lifecycle.claim([job.pk], **TOKEN, now=now, deadline_at=now + timedelta(minutes=1))
    return found


def test_a_job_is_counted_from_acceptance_to_its_end(make_job: Callable[..., Job]) -> None:
    job = Job.new(vendor="acme", input={})
    assert intake.accept(job)
    done = Done({}, cost=0.5)
    lifecycle.apply([lifecycle.complete(claimed(job), done, redis_clock.now())])
    tallies.flush()
    now = redis_clock.now()
    counts = read.by_vendor(now - timedelta(minutes=2), now)["acme"]
    assert (counts.accepted, counts.done, counts.failed) == (1, 1, 0)
    assert (counts.calls, counts.cost) == ({"found": 1}, 0.5)
    assert counts.call.quantile(0.5) == pytest.approx(0.4, rel=0.3)
    assert (counts.job.count, counts.wait.count) == (1, 1)
