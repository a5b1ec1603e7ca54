"""Fifty clients send one request with one Idempotency-Key to two processes: one job."""

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from jobs.models import Job
from jobs.queue.keys import Keys
from tests.api_processes import APIProcesses

BODY = json.dumps({"vendor": "acme", "name": "John Doe"})
CLIENTS = 50


@pytest.fixture
def service(transactional_db, make_vendor, redis_client, tmp_path):
    make_vendor()
    service = APIProcesses(tmp_path / "gunicorn.log")
    yield service
    service.stop()


def post(port, key, together=None):
    """Return the status, whether it is a replay, and the id of the job."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.connect()
        if together:
            together.wait(30)
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        connection.request("POST", "/jobs", BODY, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        is_replay = response.getheader("Idempotency-Replayed") == "true"
        return response.status, is_replay, answer.get("request_id")
    finally:
        connection.close()


def test_parallel_requests_with_one_key_make_one_job(service, redis_client):
    for key in ("one", "two", "three"):
        together = Barrier(CLIENTS)
        with ThreadPoolExecutor(CLIENTS) as threads:
            sent = [threads.submit(post, service.port, key, together) for _ in range(CLIENTS)]
            answers = [each.result() for each in sent]
        job = Job.owned.by("default").get(idempotency_key=key)
        assert Counter(answers) == {(202, False, job.pk): 1, (202, True, job.pk): CLIENTS - 1}
    assert Job.objects.count() == redis_client.xlen(Keys("acme").jobs) == 3


def test_a_key_outlives_a_restart(service, redis_client):
    status, is_replay, job_id = post(service.port, "one")
    assert (status, is_replay) == (202, False)
    service.stop()
    redis_client.flushall()
    service.start()
    assert post(service.port, "one") == (202, True, job_id)
    assert Job.objects.count() == 1
