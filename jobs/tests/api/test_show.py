"""GET /jobs/{request_id}: the job as it is stored."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

pytestmark = pytest.mark.django_db

UNKNOWN = UUID("6f1f1c7e-3a52-4c7e-9d58-3d9c3c5a7b11")
STARTED = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ENDED = datetime(2026, 5, 1, 12, 0, 3, tzinfo=UTC)


def test_a_queued_job_shows_everything_but_a_result(client, make_job, make_vendor, redis_client):
    make_vendor()
    job = make_job(id="019a0000-0000-7000-8000-000000000000", queued_at=datetime.now(UTC))
    answer = client.get(f"/jobs/{job.pk}")
    assert answer.json() == {
        "request_id": job.pk,
        "status": "queued",
        "vendor": "acme",
        "name": "John Doe",
        "attempts": 0,
        "run": 1,
        "created_at": "2025-10-20T05:03:11.360000Z",
        "started_at": None,
        "finished_at": None,
        "not_before": None,
        "expires_at": None,
        "reference": None,
        "metadata": None,
        "batch_id": None,
        "batch_index": None,
        "held_by": {
            "kind": "worker",
            "name": None,
            "until": None,
            "message": "Held because no live worker serves the vendor.",
        },
    }
    assert (answer["Retry-After"], answer["Cache-Control"]) == ("1", "no-store")


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("queued", "queued"),
        ("processing", "processing"),
        ("waiting", "processing"),
        ("cancelled", "cancelled"),
    ],
)
def test_a_job_shows_its_public_status(client, make_job, stored, shown):
    answer = client.get(f"/jobs/{make_job(status=stored, error_code='old', result={'old': 1}).pk}")
    assert answer.json()["status"] == shown
    assert not {"result", "outcome", "error"} & answer.json().keys()
    assert answer.has_header("Retry-After") == (shown != "cancelled")


def test_a_complete_job_shows_its_result(client, make_job):
    result = {"name": "John Doe", "info": "Processed sync"}
    job = make_job(
        status="complete", result=result, attempt=3, run=2, started_at=STARTED, finished_at=ENDED
    )
    answer = client.get(f"/jobs/{job.pk}")
    shown = answer.json()
    assert (shown["status"], shown["outcome"]) == ("complete", "found")  # '' in its row
    assert shown["result"] == result
    assert (shown["attempts"], shown["run"]) == (3, 2)
    assert (shown["started_at"], shown["finished_at"]) == (
        "2026-05-01T12:00:00.250000Z",
        "2026-05-01T12:00:03Z",
    )
    assert "error" not in shown
    assert not answer.has_header("Retry-After")


def test_a_job_without_data_is_complete_and_its_result_null(client, make_job):
    job = make_job(status="complete", outcome="no_data", result=None)
    shown = client.get(f"/jobs/{job.pk}").json()
    assert (shown["status"], shown["outcome"], shown["result"]) == ("complete", "no_data", None)
    [listed] = client.get("/jobs").json()["items"]
    assert (listed["outcome"], "result" in listed) == ("no_data", False)


def test_a_failed_job_shows_its_error(client, make_job):
    job = make_job(
        status="failed",
        error_code="invalid_input",
        error_message="The vendor answered 400.",
        result={"old": 1},
    )
    answer = client.get(f"/jobs/{job.pk}")
    assert answer.json()["error"] == {
        "code": "invalid_input",
        "message": "The vendor answered 400.",
    }
    assert "result" not in answer.json()
    assert not answer.has_header("Retry-After")


@pytest.mark.parametrize(
    "result",
    [
        [],
        "text",
        0,
        False,
        {},
        {"n": 2**200},
        {"t": "a\0ü\u2028😀"},
        {"deep": [[[[{}]]]]},
        {"n": 1e308},
        {"n": None},
    ],
)
def test_any_json_is_shown_as_a_result(client, make_job, result):
    assert (
        client.get(f"/jobs/{make_job(status='complete', result=result).pk}").json()["result"]
        == result
    )


def test_ids_are_case_insensitive(client, make_job):
    job = make_job()
    assert client.get(f"/jobs/{job.pk.upper()}").json()["request_id"] == job.pk


@pytest.mark.parametrize(
    "bad",
    [
        str(UNKNOWN),
        UNKNOWN.hex,
        "1",
        "x" * 5000,
        "%00",
        "%ff",
        "%0A",
        "{id}%0A",
        "{id}%20",
        "{id}1",
        "'--",
    ],
)
@pytest.mark.parametrize("path", ["", "/cancel", "/retry"])
def test_an_unknown_or_malformed_id_is_not_found(client, make_job, bad, path):
    address = f"/jobs/{bad.format(id=make_job().pk)}{path}"
    answer = client.post(address) if path else client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("bad", ["1", "x" * 5000, "{id}1", "{id}%0A"])
@pytest.mark.usefixtures("lasting_keys")
def test_a_malformed_id_costs_no_query(client, make_job, django_assert_num_queries, bad):
    address = f"/jobs/{bad.format(id=make_job().pk)}"
    client.get("/jobs")  # reads who may ask, as one request does every half second
    with django_assert_num_queries(0):
        assert client.get(address).status_code == 404


@pytest.mark.usefixtures("lasting_keys")
def test_show_is_one_query_without_the_input(client, make_job, django_assert_num_queries):
    job = make_job()
    client.get(
        f"/jobs/{job.pk}"
    )  # this one may also read the vendors, as one request does every half second
    with django_assert_num_queries(1) as captured:
        client.get(f"/jobs/{job.pk}")
    assert '"input"' not in captured[0]["sql"]


def test_head_is_answered_like_get(client, make_job, make_vendor):
    make_vendor()
    answer = client.head(f"/jobs/{make_job().pk}")
    assert (answer.status_code, answer["Retry-After"], answer.content) == (200, "1", b"")
