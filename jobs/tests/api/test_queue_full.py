"""A vendor with a full queue accepts no more jobs until some are done."""

import pytest

from jobs.models import Job, Stream
from jobs.queue import stream
from jobs.queue.backlog import Backlog, backlog
from jobs.queue.keys import Keys
from jobs.queue.redis import hints

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_backlog():
    backlog.__init__()


def post(client, vendor="acme"):
    return client.post(
        "/jobs", {"vendor": vendor, "name": "John Doe"}, content_type="application/json"
    )


def queue(*job_ids, to=Stream.JOBS):
    stream.add("acme", job_ids, to)


def test_a_full_queue_refuses_jobs_with_retry_after(client, make_vendor, redis_client):
    make_vendor(max_queued=3)
    queue("a", "b")
    queue("c", to=Stream.RETRIES)
    refused = post(client)
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    seconds = int(refused["Retry-After"])
    assert seconds > 0
    assert refused.json()["detail"] == f"This vendor's queue is full. Retry after {seconds} s."
    assert (Job.objects.count(), redis_client.xlen(Keys("acme").jobs)) == (0, 2)


def test_a_full_queue_affects_neither_other_vendors_nor_retries(
    client, make_vendor, make_job, redis_client
):
    make_vendor(max_queued=1)
    make_vendor("other", max_queued=1)
    queue("a")
    assert post(client, "other").status_code == 202
    failed = make_job(status="failed")
    assert client.post(f"/jobs/{failed.pk}/retry").status_code == 200


def test_a_queue_with_room_again_accepts_jobs(client, make_vendor, redis_client):
    make_vendor(max_queued=1)
    queue("a")
    assert post(client).status_code == 429
    redis_client.delete(Keys("acme").jobs)
    backlog.__init__()
    assert post(client).status_code == 202


@pytest.mark.parametrize("max_queued", [None, 3])
def test_jobs_are_accepted_below_the_limit_or_without_one(
    client, make_vendor, redis_client, max_queued
):
    make_vendor(max_queued=max_queued)
    queue("a", "b")
    assert post(client).status_code == 202


def test_no_job_is_refused_while_redis_is_down(client, make_vendor, redis_client, settings):
    make_vendor(max_queued=1)
    queue("a")
    settings.REDIS_URL = "redis://127.0.0.1:9"
    hints.cache_clear()
    assert post(client).status_code == 202


def test_many_jobs_cost_one_query_to_redis(make_vendor, redis_client):
    redis_client.config_resetstat()
    make_vendor(max_queued=1)
    fresh = Backlog()
    assert [fresh.is_full("acme") for _ in range(20)] == [False] * 20
    assert redis_client.info("commandstats")["cmdstat_xlen"]["calls"] == 2
