"""POST /batches: each item is accepted or refused alone, or the whole request is refused."""

import json

import pytest
from django.db import IntegrityError, connection

from harness.clients import bearer, make_key
from jobs import stopping
from jobs.api.access import slots
from jobs.api.batches.posting import upload
from jobs.models import Batch, Job, RefusedItem
from jobs.queue.backlog import backlog
from jobs.queue.keys import Keys
from jobs.storage import bulk_writes
from jobs.tests.api.batches.conftest import JOHN, LINES

pytestmark = pytest.mark.django_db

ways = pytest.mark.parametrize("way", ["json", "lines"])
sqlite = pytest.mark.sqlite  # about requests and answers, whatever the store


@pytest.fixture
def post(api, way):
    return getattr(api, way)


def refusals(answer):
    assert answer.status_code == 202, answer.content
    return [(each["index"], each["status"], each["code"]) for each in answer.json()["refusals"]]


def assert_refused_whole(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert not Batch.objects.exists()
    assert not Job.objects.exists()


@ways
def test_items_are_accepted_or_refused_alone(post, acme, redis_client):
    items = [JOHN, {"vendor": "acme"}, 5, {**JOHN, "n": 1.50}]
    answer = post(items)
    assert answer.status_code == 202, answer.content
    batch = Batch.objects.get()
    shown = answer.json()
    [missing, number] = shown.pop("refusals")
    assert shown == {
        "batch_id": batch.pk,
        "state": "running",
        "received": 4,
        "accepted": 2,
        "refused": 2,
    }
    assert missing == {
        "index": 1,
        "status": 400,
        "code": "required",
        "detail": "This vendor requires this field.",
        "pointer": "/name",
    }
    assert (number["index"], number["code"], number["pointer"]) == (2, "not_an_object", None)
    assert answer["Location"] == f"/batches/{batch.pk}"
    assert int(answer["Retry-After"]) >= 1
    assert "Idempotency-Replayed" not in answer
    jobs = Job.objects.order_by("pk")
    assert [(job.batch, job.batch_index, job.input) for job in jobs] == [
        (batch.pk, 0, {"name": "John Doe"}),
        (batch.pk, 3, {"name": "John Doe", "n": 1.5}),
    ]
    refused = RefusedItem.of_batch(batch.pk).order_by("pk")
    assert [(each.batch_index, each.code) for each in refused] == [
        (1, "required"),
        (2, "not_an_object"),
    ]
    entries = redis_client.xrange(Keys("acme").jobs)
    assert [entry["job"] for _, entry in entries] == [job.pk for job in jobs]


@sqlite
@ways
def test_what_the_jobs_have_in_common_is_said_once(post, make_vendor, redis_client):
    make_vendor("acme")
    make_vendor("globex", required_input="")
    common = {
        "vendor": "globex",
        "reference": "monday",
        "options": {"metadata": {"team": "growth"}, "expires_in": 60},
    }
    items = [{"n": 1}, JOHN, {"options": {"metadata": {"a": "b"}, "reference": "one"}}]
    assert refusals(post(items, **common)) == []
    first, second, third = Job.objects.order_by("pk")
    assert Batch.objects.get().reference == "monday"
    assert [job.vendor for job in (first, second, third)] == ["globex", "acme", "globex"]
    assert first.input == {"n": 1}
    assert [job.metadata for job in (first, third)] == [{"team": "growth"}, {"a": "b"}]
    assert third.reference == "one"
    assert all(job.expires_at for job in (first, second, third))
    assert redis_client.xlen(Keys("globex").jobs) == 2


@sqlite
@ways
@pytest.mark.parametrize(
    ("common", "status", "code"),
    [
        ({"vendor": "other"}, 400, "unknown_vendor"),
        ({"vendor": ""}, 400, "blank"),
        ({"reference": ""}, 400, "blank"),
        ({"reference": "x" * 256}, 400, "max_length"),
        ({"options": {"more": 1}}, 400, "unknown_option"),
        ({"options": {"reference": "one"}}, 400, "unknown_option"),
        ({"options": {"expires_in": 0}}, 400, "min_value"),
        ({"options": []}, 400, "not_a_dict"),
    ],
)
def test_what_they_have_in_common_is_validated_first(post, acme, common, status, code):
    assert_refused_whole(post([JOHN], **common), status, code)


@sqlite
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ([JOHN], 400, "not_an_object"),
        ({}, 400, "required"),
        ({"jobs": JOHN}, 400, "invalid"),
        ({"jobs": []}, 400, "empty_batch"),
        ({"jobs": [JOHN], "job": 1}, 400, "unknown_field"),
        ({"jobs": [{}] * 1001}, 413, "too_many_jobs"),
        ({"jobs": [{"n": "x" * 2**23}]}, 413, "too_large"),
        ("{", 400, "invalid_json"),
    ],
)
def test_json_is_refused_as_a_whole(api, acme, body, status, code):
    text = body if isinstance(body, str) else json.dumps(body)
    assert_refused_whole(api.send(text, "application/json"), status, code)


@sqlite
@pytest.mark.parametrize(
    ("body", "changes", "status", "code"),
    [
        (b"\n \r\n\t\n", {}, 400, "empty_batch"),
        (b"{}", {"key": None}, 400, "idempotency_key_required"),
        (b"{}", {"key": "a,b"}, 400, "bad_idempotency_key"),
        (b"{}", {"vender": "acme"}, 400, "unknown_parameter"),
        (b"{}", {"options": "{"}, 400, "invalid"),
        (b"{}", {"content_type": "text/csv"}, 415, "unsupported_media_type"),
        (b"{}", {"content_type": f"{LINES};charset=latin-1"}, 415, "unsupported_media_type"),
    ],
)
def test_lines_are_refused_as_a_whole(api, body, changes, status, code):
    assert_refused_whole(api.lines(body, **changes), status, code)


@sqlite
def test_lines_may_end_in_any_way(api, acme, redis_client):
    john = json.dumps(JOHN).encode()
    body = b"\r\n" + john + b"\r\n\n" + b" \t\r\n" + john + b"\n" + john
    answer = api.lines(body, content_type="application/jsonl; charset=UTF-8")
    assert (answer.json()["received"], answer.json()["accepted"]) == (3, 3)
    assert sorted(Job.objects.values_list("batch_index", flat=True)) == [0, 1, 2]


@sqlite
def test_a_line_that_is_no_job_is_refused_alone(api, acme, redis_client, settings):
    lines = [
        json.dumps(JOHN).encode(),
        b'{"name": "\xff"}',
        b'{"name": 1,}',
        b'{"a": 1, "a": 2}',
        b"\xef\xbb\xbf{}",
        b'{"vendor": "acme", "name": "%s"}' % (b"x" * settings.JOB_MAX_BYTES),
        b'{"name": ' + b"[" * 40 + b"]" * 40 + b"}",
        json.dumps({"vendor": "acme", "name": "x" * 201, "options": 1}).encode(),
        json.dumps(JOHN).encode(),
    ]
    answer = api.lines(b"\n".join(lines))
    assert refusals(answer) == [
        *((index, 400, "invalid_json") for index in (1, 2, 3, 4)),
        (5, 413, "too_large"),
        (6, 400, "invalid_json"),
        (7, 400, "not_valid"),
    ]
    shown = answer.json()["refusals"]
    assert shown[1]["detail"].endswith("(column 12).")
    assert shown[6]["detail"] == (
        "Several fields are not valid. The first, /name: "
        "Ensure this field has no more than 200 characters."
    )
    assert shown[6]["pointer"] == "/name"
    assert [each["pointer"] for each in RefusedItem.objects.get(code="not_valid").errors] == [
        "/name",
        "/options",
    ]


@sqlite
def test_an_item_of_json_is_as_large_as_a_job(api, acme, redis_client, settings):
    room = settings.JOB_MAX_BYTES - len('{"vendor":"acme","name":"x","n":""}')
    items = [{"vendor": "acme", "name": "x", "n": "ü" * (room // 2 + more)} for more in (0, 1)]
    assert refusals(api.json(items)) == [(1, 413, "too_large")]


@sqlite
@ways
def test_an_item_has_as_many_levels_as_a_job(post, acme, redis_client):
    def nested(levels):
        return {**JOHN, "n": json.loads("[" * (levels - 1) + "]" * (levels - 1))}

    assert refusals(post([nested(32)], key="k-1")) == []
    answer = post([nested(33)], key="k-2")
    codes = [each["code"] for each in answer.json().get("refusals", [answer.json()])]
    assert codes == ["invalid_json"]


@sqlite
@ways
def test_a_reference_is_used_once_in_a_batch(post, acme, redis_client):
    items = [{**JOHN, "options": {"reference": text}} for text in ("a", "b", "a", "b", "c")]
    answer = post(items)
    assert refusals(answer) == [(2, 400, "duplicate_reference"), (3, 400, "duplicate_reference")]
    [third, fourth] = answer.json()["refusals"]
    assert third["detail"].startswith("Item 2 has the reference of item 0.")
    assert fourth["pointer"] == "/options/reference"


@sqlite
@ways
def test_a_key_for_certain_vendors(api, way, make_vendor, redis_client):
    make_vendor("acme")
    make_vendor("globex")
    headers = bearer(make_key("team-a", vendors="acme"))
    body, kind = [JOHN, {**JOHN, "vendor": "globex"}, {**JOHN, "vendor": "none"}], LINES
    text = "\n".join(map(json.dumps, body))
    common = "vendor=globex"
    if way == "json":
        kind, text = "application/json", json.dumps({"jobs": body})
    answer = api.send(text, kind, "k-1", headers)
    assert refusals(answer) == [(1, 403, "vendor_not_allowed"), (2, 403, "vendor_not_allowed")]
    Batch.objects.all().delete()
    Job.objects.all().delete()
    if way == "json":
        text, common = json.dumps({"jobs": body, "vendor": "globex"}), ""
    answer = api.send(text, kind, "k-2", headers, QUERY_STRING=common)
    assert_refused_whole(answer, 403, "vendor_not_allowed")


@sqlite
def test_the_answer_shows_the_first_hundred_refusals(api, acme, redis_client):
    answer = api.lines([{}] * 120, vendor="acme")
    assert (answer.json()["refused"], len(answer.json()["refusals"])) == (120, 100)
    assert RefusedItem.objects.count() == 120


@sqlite
def test_jobs_are_accepted_without_redis(api, acme, settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/missing.sock"
    assert refusals(api.lines([JOHN, JOHN])) == []
    assert Job.objects.count() == 2


@sqlite
def test_delayed_jobs_are_not_queued_yet(api, acme, redis_client):
    api.json([JOHN], options={"not_before": "2199-01-01T00:00:00Z"})
    answer = api.json([JOHN, {**JOHN, "options": {"not_before": "2027-01-01T00:00:00Z"}}])
    assert redis_client.xlen(Keys("acme").jobs) == 1, answer.content


@sqlite
def test_a_full_queue_is_continued_later(api, make_vendor, redis_client, monkeypatch):
    make_vendor("acme", max_queued=3)
    monkeypatch.setattr(upload, "CHUNK_ITEMS", 2)
    items = [{**JOHN, "n": number} for number in range(6)]
    answer = api.lines(items)
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert "vendor acme" in answer.json()["detail"]
    assert int(answer["Retry-After"]) > 0
    assert (Batch.objects.get().state, Job.objects.count()) == ("receiving", 4)
    redis_client.delete(Keys("acme").jobs)
    backlog.forget()
    answer = api.lines(items)
    assert (refusals(answer), answer.json()["received"]) == ([], 6)
    assert sorted(Job.objects.values_list("batch_index", flat=True)) == [0, 1, 2, 3, 4, 5]


@sqlite
@ways
def test_a_queue_that_is_full_from_the_start_changes_nothing(post, make_vendor, redis_client):
    make_vendor("acme", max_queued=0)
    assert_refused_whole(post([JOHN]), 429, "queue_full")


def test_the_store_refuses_one_row(api, acme, redis_client, monkeypatch):
    insert = bulk_writes.insert_each

    def refuse(rows):
        others = [row for row in rows if not (isinstance(row, Job) and row.input["n"] == 5)]
        stored = insert(others) if others else []
        if len(others) < len(rows):
            raise IntegrityError("too odd")  # on MongoDB, the others stay
        return stored

    monkeypatch.setattr(bulk_writes, "insert_each", refuse)
    answer = api.json([{**JOHN, "n": number} for number in range(8)])
    assert refusals(answer) == [(5, 500, "server_error")]
    assert (answer.json()["accepted"], answer.json()["state"]) == (7, "running")
    assert (Job.objects.count(), RefusedItem.objects.get().code) == (7, "server_error")
    if connection.vendor == "sqlite":  # on MongoDB, the sweep queues what was stored first
        assert redis_client.xlen(Keys("acme").jobs) == 7


@sqlite
@ways
def test_uploads_are_few_at_a_time(post, acme, monkeypatch):
    monkeypatch.setattr(slots.transfers, "limit", 0)
    answer = post([JOHN])
    assert_refused_whole(answer, 503, "overloaded")
    assert int(answer["Retry-After"]) > 0


@sqlite
def test_a_process_that_stops_ends_uploads_between_chunks(api, acme, redis_client, monkeypatch):
    monkeypatch.setattr(upload, "CHUNK_ITEMS", 2)
    monkeypatch.setattr(stopping, "is_stopping", lambda: True)
    answer = api.lines([JOHN] * 5)
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert (Batch.objects.get().state, Job.objects.count()) == ("receiving", 2)


@sqlite
def test_too_many_lines(api, acme, redis_client, monkeypatch):
    monkeypatch.setattr(upload, "MAX_LINES", 3)
    answer = api.lines([JOHN] * 4)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_jobs")
    assert (Batch.objects.get().state, Job.objects.count()) == ("receiving", 3)
    assert api.lines([JOHN] * 3).json()["accepted"] == 3


@sqlite
def test_slow_lines_are_stored_as_they_come(api, acme, redis_client, monkeypatch):
    monkeypatch.setattr(upload, "CHUNK_SECONDS", 0)
    insert, sizes = bulk_writes.insert_each, []
    monkeypatch.setattr(
        bulk_writes, "insert_each", lambda rows: sizes.append(len(rows)) or insert(rows)
    )
    assert api.lines([JOHN] * 3).json()["accepted"] == 3
    assert sizes == [1, 1, 1, 1]  # the batch and its jobs
