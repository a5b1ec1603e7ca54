"""Commands to Redis or its replies get lost. No job is lost, and no vendor is called twice."""

from contextlib import closing

import pytest

from harness.proxy import Proxy
from harness.waiting import wait_for
from jobs.models import Job
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.redis import script
from tests.conftest import statuses, wait_until_final

pytestmark = pytest.mark.about_redis


@pytest.fixture(autouse=True)
def acme(make_vendor, vendor_server, transactional_db):
    return make_vendor(url=vendor_server.url, rate_limits="200/s")


@pytest.fixture
def proxy(valkey):
    with closing(Proxy(str(valkey.socket))) as proxy:
        yield proxy


@pytest.fixture
def worker(start_worker, submit, proxy, redis_client, vendor_server):
    """An idle worker that has done a job, with its Redis behind the proxy."""
    worker = start_worker(REDIS_URL=f"redis://127.0.0.1:{proxy.port}")
    wait_for(lambda: redis_client.zcard(HEARTBEATS), "the worker to live")
    submit()
    wait_until_final()
    Job.objects.all().delete()
    vendor_server.arrivals.clear()
    return worker


@pytest.fixture
def calls_under_way(worker, submit, vendor_server):
    vendor_server.hold.clear()
    jobs = submit(3)
    wait_for(lambda: len(vendor_server.arrivals) == 3, "three calls to be under way")
    return jobs


def known(redis_client, *names):
    """Load a script, so that its first call is not answered with NOSCRIPT. Returns its hash."""
    return redis_client.script_load(script(*names).script).encode()


def nothing_left(redis_client):
    keys = Keys("acme")
    entries = redis_client.xlen(keys.jobs) + redis_client.xlen(keys.retries)
    return not entries and not redis_client.zcard(keys.in_flight)


def assert_each_called_once(jobs, vendor_server, redis_client):
    wait_until_final(9)
    assert statuses() == ["complete"] * len(jobs)
    assert sorted(vendor_server.keys()) == sorted(job.pk for job in jobs)
    wait_for(lambda: nothing_left(redis_client), "nothing to be left in Redis")


def test_jobs_are_called_once_when_the_reply_to_take_is_lost(
    worker, submit, proxy, vendor_server, redis_client
):
    proxy.lose_reply(known(redis_client, "limits", "admission", "take"), count=2)
    jobs = submit(5)
    wait_for(lambda: proxy.replies_lost == 2, "two replies to be lost")
    assert_each_called_once(jobs, vendor_server, redis_client)
    assert "found on this worker; requeued" in worker.output


def test_jobs_are_called_once_when_the_reply_to_settle_is_lost(
    calls_under_way, proxy, vendor_server, redis_client
):
    proxy.lose_reply(known(redis_client, "refund", "settle"))
    vendor_server.hold.set()
    wait_for(lambda: proxy.replies_lost, "the reply to be lost")
    assert_each_called_once(calls_under_way, vendor_server, redis_client)


def test_jobs_are_called_once_when_connections_are_dropped(
    calls_under_way, submit, proxy, vendor_server, redis_client
):
    jobs = calls_under_way + submit(20)
    vendor_server.hold.set()
    for arrived in (5, 10, 15):
        wait_for(lambda least=arrived: len(vendor_server.arrivals) >= least, "the work to go on")
        proxy.drop()
    assert proxy.dropped > 3
    assert_each_called_once(jobs, vendor_server, redis_client)


def test_jobs_are_called_once_when_connections_are_half_closed(
    calls_under_way, submit, proxy, vendor_server, redis_client
):
    jobs = calls_under_way + submit(5)
    assert proxy.half_close() > 2
    vendor_server.hold.set()
    assert_each_called_once(jobs, vendor_server, redis_client)


def test_jobs_are_called_once_when_redis_stops_answering_for_a_while(
    calls_under_way, submit, proxy, vendor_server, redis_client
):
    jobs = calls_under_way + submit(5)
    proxy.stall(1)
    vendor_server.hold.set()
    assert_each_called_once(jobs, vendor_server, redis_client)


@pytest.fixture
def one_at_a_time(acme):
    acme.max_in_flight = 1
    acme.save()


@pytest.mark.usefixtures("one_at_a_time")
def test_a_slot_is_freed_soon_when_redis_never_receives_the_settlement(
    worker, submit, proxy, vendor_server, redis_client
):
    vendor_server.hold.clear()
    jobs = submit(2)
    wait_for(lambda: len(vendor_server.arrivals) == 1, "one call to be under way")
    wait_for(
        lambda: redis_client.hget(Keys("acme").state, "full"), "the worker to wait for the slot"
    )
    proxy.refuse()
    proxy.drop()
    vendor_server.hold.set()
    wait_for(lambda: "acknowledged later" in worker.output, "the settlement to fail")
    proxy.accept()
    assert_each_called_once(jobs, vendor_server, redis_client)
