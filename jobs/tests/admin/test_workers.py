"""Workers are drained, resumed and stopped in the console."""

import pytest
from django.contrib.auth.models import User

from audit.models import Entry
from harness.waiting import wait_for
from jobs.models import Stream
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.keys import ORDERS, WORKERS
from jobs.queue.stream import add
from jobs.queue.workers import WorkerFacts
from jobs.tests.console import sign_in, text
from jobs.worker.worker import Worker

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


@pytest.fixture
def orders(redis_client):
    """Return the orders that the worker `w` hears, after a heartbeat."""
    heard = []
    beat = Heartbeat("w", lambda: WorkerFacts(host="h", threads=2), heard.append)

    def after_heartbeat():
        beat.send()
        return heard

    after_heartbeat()
    return after_heartbeat


@pytest.mark.parametrize(
    ("name", "order"), [("drain", "drain"), ("resume", "resume"), ("stop", "stop")]
)
def test_a_worker_hears_its_order_once_and_the_trail_says_who_gave_it(orders, name, order):
    page = sign_in("manage_workers").post(
        f"/admin/workers/w/{name}/", {"sure": "1"}, REMOTE_ADDR="10.0.0.9"
    )
    assert page.headers["Location"] == "/admin/#workers"
    assert orders() == [order]
    assert orders() == [order], "once"
    entry = Entry.objects.get(target="worker:w")
    assert (entry.actor, entry.address) == ("operator", "10.0.0.9")
    assert entry.action.startswith(f"worker.{order}")


def test_redis_keeps_an_order_until_it_knows_that_it_was_heard(orders, redis_client):
    sign_in("manage_workers").post("/admin/workers/w/drain/")
    orders()
    assert redis_client.hexists(ORDERS, "w"), "the reply to the heartbeat may be lost"
    orders()
    assert not redis_client.hexists(ORDERS, "w")


def test_stopping_asks_first(orders):
    page = sign_in("manage_workers").post("/admin/workers/w/stop/")
    assert "Stop worker w?" in text(page)
    assert orders() == []


def test_without_the_permission_no_order_is_given(orders):
    for name in ("drain", "resume", "stop"):
        assert sign_in_again("view_job").post(f"/admin/workers/w/{name}/").status_code == 403
    assert orders() == []


def test_orders_are_no_links(orders):
    assert sign_in("manage_workers").get("/admin/workers/w/drain/").status_code == 405


def test_a_worker_that_is_gone_is_named(redis_client):
    page = sign_in("manage_workers").post("/admin/workers/gone/drain/", follow=True)
    assert "There is no worker gone any more." in text(page)
    assert not Entry.objects.filter(action="worker.drained").exists()


def test_a_drained_worker_takes_nothing_even_if_redis_is_flushed(
    make_vendor, make_job, redis_client
):
    make_vendor()
    job = make_job()
    add("acme", [job.pk], Stream.JOBS, redis_client)
    worker = Worker(threads=1)
    worker._heartbeat.send()
    sign_in("manage_workers").post(f"/admin/workers/{worker.name}/drain/")
    worker._heartbeat.send()
    for _ in range(3):  # the first only rebuilds the limiter
        worker._try_round()
        assert not worker._has_started
    redis_client.flushall()
    add("acme", [job.pk], Stream.JOBS, redis_client)
    worker._heartbeat.send()
    assert '"state": "draining"' in redis_client.hget(WORKERS, worker.name)
    sign_in_again("manage_workers").post(f"/admin/workers/{worker.name}/resume/")
    worker._heartbeat.send()

    def has_started():
        worker._try_round()
        return worker._has_started

    wait_for(has_started, "a job to be taken")


def sign_in_again(permission):
    User.objects.filter(username="operator").delete()
    return sign_in(permission)
