"""Requests with one Idempotency-Key that share a commit: one of them makes the job."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import OperationalError, connection
from django.test import Client

from harness.waiting import wait_for
from jobs.api import intake
from jobs.models import Job
from jobs.queue.keys import Keys
from jobs.storage import bulk_writes

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"vendor": "acme", "name": "John Doe"}


def post(key, body=BODY):
    try:
        headers = {"Idempotency-Key": key} if key else {}
        client = Client(raise_request_exception=False)
        return client.post(
            "/jobs", json.dumps(body), content_type="application/json", headers=headers
        )
    finally:
        connection.close()


@pytest.fixture
def commits(monkeypatch):
    """The sizes of the commits. The first waits until `go_on` is set."""
    insert, commits = bulk_writes.insert_each, []
    go_on = Event()

    def slow(jobs):
        commits.append(len(jobs))
        go_on.wait(20)
        return insert(jobs)

    monkeypatch.setattr(bulk_writes, "insert_each", slow)
    return commits, go_on


@pytest.fixture
def in_one_commit(make_vendor, redis_client, commits):
    """Send these requests while the commit of another one is in progress."""
    sizes, go_on = commits
    make_vendor()

    def send(*requests):
        with ThreadPoolExecutor(len(requests) + 1) as threads:
            threads.submit(post, None)
            wait_for(lambda: sizes, "the first commit")
            answers = [threads.submit(post, *request) for request in requests]
            wait_for(lambda: len(intake._accepting._waiting) == len(requests), "all to wait")
            go_on.set()
        assert sizes[:2] == [1, len(requests)]
        return [answer.result() for answer in answers]

    return send


def queued_ids(redis_client):
    return sorted(entry["job"] for _, entry in redis_client.xrange(Keys("acme").jobs))


def test_equal_requests_of_one_commit_make_one_job(in_one_commit, redis_client):
    answers = in_one_commit(*[("k-1",)] * 8)
    assert [answer.status_code for answer in answers] == [202] * 8
    job = Job.owned.by("default").get(idempotency_key="k-1")
    assert {answer.json()["request_id"] for answer in answers} == {job.pk}
    assert sum(answer.has_header("Idempotency-Replayed") for answer in answers) == 7
    assert queued_ids(redis_client) == sorted(Job.objects.values_list("pk", flat=True))


def test_of_different_bodies_in_one_commit_one_is_accepted(in_one_commit, redis_client):
    bodies = [{**BODY, "name": name} for name in ("Ann", "Ben", "Cy")]
    answers = in_one_commit(*[("k-1", body) for body in bodies])
    assert sorted(answer.status_code for answer in answers) == [202, 422, 422]
    [accepted] = [answer for answer in answers if answer.status_code == 202]
    assert Job.owned.by("default").get(idempotency_key="k-1").pk == accepted.json()["request_id"]


def test_other_jobs_of_the_commit_are_not_affected(in_one_commit, redis_client):
    answers = in_one_commit(("k-1",), ("k-1",), ("k-2",), (None,), (None,))
    assert [answer.status_code for answer in answers] == [202] * 5
    ids = {answer.json()["request_id"] for answer in answers}
    assert len(ids) == 4
    assert ids < set(Job.objects.values_list("pk", flat=True))
    assert queued_ids(redis_client) == sorted(Job.objects.values_list("pk", flat=True))


def test_a_commit_that_fails_announces_no_job(in_one_commit, redis_client, monkeypatch):
    insert = bulk_writes.insert_each

    def fail_after_writing(jobs):
        stored = insert(jobs)
        if len(jobs) > 1:
            raise OperationalError("interrupted")
        return stored

    monkeypatch.setattr(bulk_writes, "insert_each", fail_after_writing)
    answers = in_one_commit(*[("k-1",)] * 4)
    assert [answer.status_code for answer in answers] == [503] * 4
    assert len(queued_ids(redis_client)) == 1  # that of the first commit
    repeated = post("k-1")
    assert repeated.status_code == 202
    assert Job.owned.by("default").get(idempotency_key="k-1").pk == repeated.json()["request_id"]
