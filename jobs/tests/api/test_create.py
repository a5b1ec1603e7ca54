"""POST /jobs: what is accepted, stored and queued."""

import json
import signal
import time
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from harness.valkey import Valkey
from jobs.models import Job
from jobs.queue import stream
from jobs.queue.keys import Keys

pytestmark = pytest.mark.django_db


def post(client, body: dict, **headers):
    return client.post("/jobs", json.dumps(body), content_type="application/json", headers=headers)


def test_create_returns_the_id_and_the_location(client, make_vendor):
    make_vendor("acme")
    answer = post(client, {"vendor": "acme", "name": "John Doe"})
    job = Job.objects.get()
    assert (answer.status_code, answer.json()) == (202, {"request_id": job.pk, "status": "queued"})
    assert answer["Location"] == f"/jobs/{job.pk}"
    assert answer["Retry-After"] == "1"
    assert answer["Content-Type"] == "application/json"
    assert client.get(answer["Location"]).json()["status"] == "queued"


def test_the_input_is_everything_posted_except_vendor_and_options(client, make_vendor):
    make_vendor("acme")
    extra = {
        "age": 2**80,
        "tags": ["ü", "a\0b"],
        "address": {"city": None},
        "callback_url": "x",
        "input": 1,
        "id": "y",
    }
    answer = post(client, {"vendor": "acme", "name": "  John Doe\n", "options": {}, **extra})
    job = Job.objects.get(pk=answer.json()["request_id"])
    assert job.input == {"name": "John Doe", **extra}
    assert (job.vendor, job.name, job.status) == ("acme", "John Doe", "queued")
    assert (job.run, job.attempt) == (1, 0)


def test_the_longest_name_and_the_largest_body_are_accepted(client, make_vendor, settings):
    make_vendor("acme")
    body = {"vendor": "acme", "name": " " + "ü" * 200 + " ", "more": ""}
    body["more"] = "x" * (settings.JOB_MAX_BYTES - len(json.dumps(body)))
    assert post(client, body).status_code == 202
    assert Job.objects.get().name == "ü" * 200


def test_all_spellings_of_json_in_utf_8_are_accepted(client, make_vendor):
    make_vendor("acme")
    for content_type in ("application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'):
        answer = client.post("/jobs", '{"vendor": "acme", "name": "ü"}', content_type=content_type)
        assert answer.status_code == 202, content_type


def test_create_costs_one_statement(client, make_vendor):
    make_vendor("acme")
    post(client, {"vendor": "acme", "name": "loads the catalogue"})
    with CaptureQueriesContext(connection) as captured:
        post(client, {"vendor": "acme", "name": "John Doe"})
    [insert] = [query["sql"] for query in captured if "SAVEPOINT" not in query["sql"]]
    assert insert.startswith(("1 times: INSERT", "db.jobs_job.insert_many"))


def test_the_stream_entry_holds_only_the_id(client, make_vendor, redis_client):
    make_vendor("acme")
    job_id = post(client, {"vendor": "acme", "name": "John Doe"}).json()["request_id"]
    [(_, entry)] = redis_client.xrange(Keys("acme").jobs)
    assert entry == {"v": "1", "job": job_id}


@pytest.mark.django_db(transaction=True)
def test_the_row_is_committed_before_the_job_is_queued(client, make_vendor, monkeypatch):
    make_vendor("acme")
    offered = []

    def offer(job_ids: dict[str, list[str]]) -> None:
        stored = Job.objects.filter(pk__in=job_ids["acme"]).count()
        offered.append((connection.in_atomic_block, stored))

    monkeypatch.setattr(stream, "offer_all", offer)
    post(client, {"vendor": "acme", "name": "John Doe"})
    assert offered == [(False, 1)]


def test_create_is_immediate_when_redis_is_down(client, make_vendor, settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/missing.sock"
    make_vendor("acme")
    started = time.monotonic()
    assert post(client, {"vendor": "acme", "name": "John Doe"}).status_code == 202
    assert time.monotonic() - started < 1
    assert Job.objects.get().status == "queued"


def test_only_the_first_create_waits_when_redis_hangs(client, make_vendor, settings, tmp_path):
    server = Valkey(tmp_path)
    server.start()
    settings.REDIS_URL = server.url
    make_vendor("acme")
    try:
        post(client, {"vendor": "acme", "name": "connects"})
        server.process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        answers = [
            post(client, {"vendor": "acme", "name": "John Doe"}).status_code for _ in range(5)
        ]
        assert answers == [202] * 5
        assert time.monotonic() - started < 1
    finally:
        server.kill()
    assert Job.objects.count() == 6


@pytest.mark.sqlite
@pytest.mark.parametrize("path", ["", f"/{UUID(int=0)}"])
def test_show_and_list_answer_503_when_the_store_fails(client, path):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job RENAME TO away")
    answer = client.get(f"/jobs{path}")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")


@pytest.mark.sqlite
def test_create_answers_503_and_queues_nothing_when_the_store_fails(
    client, make_vendor, redis_client
):
    make_vendor("acme")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job RENAME TO away")
    answer = post(client, {"vendor": "acme", "name": "John Doe"})
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer["Retry-After"] == "5"
    assert "John" not in answer.content.decode()
    assert redis_client.keys() == []
