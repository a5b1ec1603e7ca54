"""An idle worker sends few commands to Redis."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from harness.waiting import wait_for
from jobs.models import Job
from jobs.queue.keys import HEARTBEATS, Keys

pytestmark = pytest.mark.about_redis

SECONDS = 3


def commands_of_clients(redis_client):
    """Return how many commands clients have sent, without those that scripts call."""
    stats = redis_client.info("commandstats")
    sent = (
        "cmdstat_evalsha",
        "cmdstat_set",
        "cmdstat_get",
        "cmdstat_xread",
        "cmdstat_xadd",
        "cmdstat_expire",
        "cmdstat_zmscore",
    )
    return sum(stats[name]["calls"] for name in sent if name in stats)


@pytest.fixture
def idle_worker(start_worker, make_vendor, vendor_server, redis_client):
    for number in range(10):
        make_vendor(f"acme{number}", url=vendor_server.url, rate_limits="1/h")
    start_worker()
    wait_for(lambda: redis_client.zcard(HEARTBEATS), "the heartbeat")


def rate(redis_client):
    before, since = commands_of_clients(redis_client), time.monotonic()
    wait_for(lambda: time.monotonic() - since > SECONDS, "some seconds to pass", SECONDS + 1)
    return (commands_of_clients(redis_client) - before) / SECONDS


def test_an_idle_worker_sends_fewer_than_20_commands_a_second(idle_worker, redis_client):
    wait_for(lambda: redis_client.hget(Keys("acme9").state, "run_id"), "the limits to be set up")
    assert rate(redis_client) < 20


def test_a_backlog_held_by_a_limit_causes_no_busy_loop(idle_worker, submit, redis_client):
    submit(50, vendor="acme0")
    wait_for(lambda: Job.objects.filter(status="complete").count(), "the one permitted call")
    Job.objects.filter(status="queued").update(queued_at=timezone.now() + timedelta(hours=1))
    assert rate(redis_client) < 20
