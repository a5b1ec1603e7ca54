"""Prefer: wait: what a request that waits is answered, and when it does not wait."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection
from django.test import Client

from clients import issuing
from clients.directory import directory
from harness.clients import ACTOR, bearer, key_row, make_key
from harness.waiting import wait_for
from jobs import batches, operator_actions
from jobs.api import waiting
from jobs.api.access import slots
from jobs.models import Batch, Job
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys
from jobs.queue.waiting import waiters
from jobs.recovery.batches import BatchSweep
from jobs.storage.lookup import Lookup

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("acme", "redis_client"),
    pytest.mark.sqlite,
]

BODY = json.dumps({"vendor": "acme", "name": "John Doe"})
LONG = {"Prefer": "wait=30"}


@pytest.fixture
def acme(make_vendor):
    return make_vendor()


@pytest.fixture
def short(monkeypatch):
    """Whatever is preferred, requests wait for a moment only."""
    monkeypatch.setattr(waiting, "wait_seconds", lambda header: 0.05)


@pytest.fixture
def no_wait(monkeypatch):
    """Fail if a request is about to wait."""
    monkeypatch.setattr(waiters, "waiting_for", lambda *_: pytest.fail("It waits."))


def post(**headers):
    client = Client()
    try:
        return client.post("/jobs", BODY, content_type="application/json", headers=headers)
    finally:
        connection.close()


def get(path, method="get", **headers):
    client = Client()
    try:
        return getattr(client, method)(path, headers=headers)
    finally:
        connection.close()


def end_when_waited_for(ask, *args, end=None, **headers):
    """Send a request that waits for the only job, and end that meanwhile. Returns the answer."""
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(ask, *args, **headers)
        wait_for(lambda: waiters._events or answer.done(), "the request to wait")
        (end or cancel)()
        return answer.result(20)


def cancel():
    assert operator_actions.cancel(Job.objects.get(), redis_clock.now())


def test_a_get_shows_the_job_as_soon_as_it_is_final(make_job):
    job = make_job()
    answer = end_when_waited_for(get, f"/jobs/{job.pk}", **LONG)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer["Preference-Applied"] == "wait=30"
    assert answer["Vary"] == "Authorization, Prefer"
    assert not answer.has_header("Retry-After")
    assert slots.waiters._taken == 0


@pytest.mark.parametrize("replayed", [False, True])
def test_a_post_shows_the_job_as_soon_as_it_is_final(replayed):
    headers = {**LONG, "Idempotency-Key": "one"}
    if replayed:
        assert post(**{"Idempotency-Key": "one"}).status_code == 202
    answer = end_when_waited_for(post, **headers)
    job = Job.objects.get()
    assert (answer.status_code, answer["Preference-Applied"]) == (200, "wait=30")
    assert answer.json() == get(f"/jobs/{job.pk}").json()
    assert answer["Location"] == f"/jobs/{job.pk}"
    assert answer.has_header("Idempotency-Replayed") == replayed
    assert not answer.has_header("Retry-After")


def test_what_is_final_is_shown_at_once(make_job, no_wait):
    job = make_job(status="failed", idempotency_key="one")
    answer = get(f"/jobs/{job.pk}", **LONG)
    assert (answer.json()["status"], answer["Preference-Applied"]) == ("failed", "wait=30")
    job.delete()
    post(**{"Idempotency-Key": "one"})
    Job.objects.update(status="complete", result={})
    answer = post(**{"Idempotency-Key": "one"}, **LONG)
    assert (answer.status_code, answer["Preference-Applied"]) == (200, "wait=30")


def test_a_batch_is_shown_as_soon_as_it_is_finished(make_job):
    batch = Batch.new("default")
    batches.create(batch)
    make_job(batch=batch.pk, batch_index=0)
    batches.seal(batch.pk, redis_clock.now())

    def end():
        cancel()
        BatchSweep().advance()

    answer = end_when_waited_for(get, f"/batches/{batch.pk}", end=end, **LONG)
    assert (answer.json()["state"], answer.json()["counts"]["cancelled"]) == ("finished", 1)
    assert answer["Preference-Applied"] == "wait=30"
    assert answer["Vary"] == "Authorization, Prefer"
    again = get(f"/batches/{batch.pk}", **LONG)
    assert (again.json(), again["Preference-Applied"]) == (answer.json(), "wait=30")


def plain(answer, status):
    names = ("Preference-Applied", "Retry-After", "Vary")
    applied, retry_after, vary = (answer.headers.get(name) for name in names)
    expected = (status, None, "1", "Authorization, Prefer")
    return (answer.status_code, applied, retry_after, vary) == expected


def test_the_answer_is_the_plain_one_if_the_time_is_over_before(short, redis_client):
    answer = post(**LONG)
    assert plain(answer, 202)
    assert answer.json().keys() == {"request_id", "status"}
    assert plain(get(answer["Location"], **LONG), 200)
    assert redis_client.zcard(Keys("acme").waited) == 1


def test_nothing_waits_without_a_place_without_redis_or_for_a_head(
    make_job, monkeypatch, no_wait, valkey
):
    path = f"/jobs/{make_job().pk}"
    assert plain(get(path, "head", **LONG), 200)
    monkeypatch.setattr(slots.waiters, "limit", 0)
    assert plain(get(path, **LONG), 200)
    assert plain(post(**LONG), 202)
    monkeypatch.undo()
    valkey.kill()
    try:
        assert plain(get(path, **LONG), 200)
        assert plain(post(**LONG), 202)
    finally:
        valkey.start()


def test_a_post_waits_only_if_its_key_may_read(no_wait):
    make_key("team-a")
    submitting = bearer(make_key("team-a", scopes="jobs:submit"))
    assert plain(post(**submitting, **LONG), 202)


def test_a_key_that_is_revoked_meanwhile_is_not_shown_the_result(make_job, acme, redis_client):
    key = make_key("team-a")
    job = make_job(client="team-a")

    def revoke_and_end():
        wait_for(lambda: redis_client.zcard(Keys("acme").waited), "the wait to be in Redis")
        issuing.revoke(key_row(key), ACTOR)
        directory.forget()
        cancel()

    answer = end_when_waited_for(get, f"/jobs/{job.pk}", end=revoke_and_end, **bearer(key), **LONG)
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert plain(answer, 200)


def test_a_posted_job_is_confirmed_although_the_store_is_away_by_then(short, monkeypatch):
    def fail(*_):
        raise OperationalError

    monkeypatch.setattr(Lookup, "find", fail)
    assert plain(post(**LONG), 202)
