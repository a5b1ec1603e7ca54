"""GET /jobs: newest first, filtered, page by page."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.core import signing

from jobs.api.pagination import cursor_after
from jobs.models import Job, Status

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def id_at(moment: datetime, number: int = 0) -> str:
    """Return the id of a job created at that moment."""
    return str(UUID(int=(int(moment.timestamp() * 1000) << 80) + (7 << 76) + (2 << 62) + number))


def listed(client, **query) -> list[str]:
    answer = client.get(f"/jobs?{urlencode(query)}")
    assert answer.status_code == 200, answer.content
    return [item["request_id"] for item in answer.json()["items"]]


def refused(client, query: str) -> list[tuple[str, str]]:
    answer = client.get(f"/jobs?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    return [(error["parameter"], error["code"]) for error in answer.json()["errors"]]


def pages(client, address: str) -> list[list[str]]:
    """Return the ids of each page, from this URL to the last."""
    found = []
    while address:
        page = client.get(address).json()
        found.append([item["request_id"] for item in page["items"]])
        address = page["next"]
    return found


def test_jobs_are_listed_newest_first_without_result_and_input(client, make_job):
    older = make_job(status="complete", result={"info": "secret"})
    newer = make_job(
        status="failed", error_code="invalid_input", error_message="The vendor answered 400."
    )
    page = client.get("/jobs").json()
    assert [item["request_id"] for item in page["items"]] == [newer.pk, older.pk]
    assert page["next"] is None
    assert page["items"][0] == client.get(f"/jobs/{newer.pk}").json()
    assert page["items"][1] == {
        key: value
        for key, value in client.get(f"/jobs/{older.pk}").json().items()
        if key != "result"
    }


def test_a_list_without_jobs_is_empty(client):
    assert client.get("/jobs").json() == {"items": [], "next": None}


def test_jobs_are_filtered_by_public_status(client, make_job):
    ids = {status: make_job(status=status).pk for status in Status}
    for status in ("queued", "complete", "failed", "cancelled"):
        assert listed(client, status=status) == [ids[status]]
    assert listed(client, status="processing") == [ids["waiting"], ids["processing"]]


def test_filters_by_vendor_and_status_combine(client, make_job):
    first, second = (
        make_job(vendor="beta", status="waiting"),
        make_job(vendor="beta", status="processing"),
    )
    make_job(vendor="acme", status="processing")
    make_job(vendor="beta")
    assert listed(client, vendor="beta", status="processing") == [second.pk, first.pk]
    assert listed(client, vendor="beta", status="processing", limit=1) == [second.pk]
    assert len(listed(client, vendor="beta")) == 3
    assert listed(client, vendor="unknown") == []


def test_jobs_are_filtered_by_time_of_creation(client, make_job):
    moments = [NOON + timedelta(milliseconds=count) for count in (0, 1, 2)]
    early, noon, late = [make_job(id=id_at(moment, 5)).pk for moment in moments]
    assert listed(client, created_after="2026-05-01T12:00:00.001Z") == [late, noon]
    assert listed(client, created_before="2026-05-01T12:00:00.001Z") == [early]
    assert listed(client, created_after="2026-05-01T14:00:00.000500+02:00") == [late, noon]
    assert listed(
        client, created_after="2026-05-01T12:00:00.001", created_before="2026-05-01T12:00:00.002"
    ) == [noon]
    assert listed(client, created_after="0001-01-01", created_before="9999-12-31") == [
        late,
        noon,
        early,
    ]
    assert listed(client, created_before="1969-12-31") == []


def test_next_leads_through_all_pages_with_the_same_filters(client, make_job):
    ids = [make_job(status="waiting").pk for _ in range(5)]
    make_job(status="complete")
    assert pages(client, "/jobs?status=processing&limit=2") == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    assert pages(client, "/jobs?status=processing&limit=5") == [ids[::-1]]


def test_no_job_is_skipped_or_repeated_while_others_arrive(client, make_job):
    ids = [make_job().pk for _ in range(5)]
    page = client.get("/jobs?limit=2").json()
    found = [item["request_id"] for item in page["items"]]
    while page["next"]:
        make_job()
        Job.objects.filter(pk=found[0]).delete()
        page = client.get(page["next"]).json()
        found += [item["request_id"] for item in page["items"]]
    assert found == ids[::-1]


def test_jobs_of_one_millisecond_are_split_into_pages(client, make_job):
    ids = [make_job(id=id_at(NOON, number)).pk for number in range(4)]
    assert pages(client, "/jobs?limit=1&created_after=2026-05-01T12:00:00Z") == [
        [job_id] for job_id in ids[::-1]
    ]


def test_a_cursor_and_a_time_bound_combine(client, make_job):
    ids = [make_job(id=id_at(NOON + timedelta(seconds=count))).pk for count in range(4)]
    cursor = client.get("/jobs?limit=1").json()["next"]
    assert pages(client, f"{cursor}&created_before=2026-05-01T12:00:02Z") == [[ids[1]], [ids[0]]]
    assert pages(client, f"{cursor}&created_before=2027-01-01") == [[ids[2]], [ids[1]], [ids[0]]]


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("status=waiting", "status", "invalid_choice"),
        ("status=", "status", "invalid_choice"),
        ("vendor=", "vendor", "blank"),
        ("vendor=a%00b", "vendor", "null_characters_not_allowed"),
        ("limit=0", "limit", "min_value"),
        ("limit=101", "limit", "max_value"),
        ("limit=ten", "limit", "invalid"),
        ("limit=%EF%BC%91", "limit", "invalid"),
        ("limit=%D9%A1", "limit", "invalid"),
        ("limit=1_0", "limit", "invalid"),
        ("limit=5.0", "limit", "invalid"),
        ("limit=%2B5", "limit", "invalid"),
        ("created_after=%EF%BC%92026-05-01T12:00:00", "created_after", "invalid"),
        ("created_before=%D9%A2026-05-01", "created_before", "invalid"),
        ("limit=" + "9" * 5000, "limit", "max_string_length"),
        ("created_after=yesterday", "created_after", "invalid"),
        ("created_after=2026-02-30", "created_after", "invalid"),
        ("created_before=9999-12-31T23:59:59-23:59", "created_before", "overflow"),
        ("created_before=2026-05-01T12:00:00+02:00", "created_before", "invalid"),
        ("page=2", "page", "unknown_parameter"),
        ("format=xml", "format", "unknown_parameter"),
    ],
)
def test_an_invalid_parameter_is_named(client, query, parameter, code):
    assert refused(client, query) == [(parameter, code)]


@pytest.mark.parametrize(
    "name", ["status", "vendor", "created_after", "created_before", "limit", "cursor", "page"]
)
@pytest.mark.parametrize("values", [("failed", "complete"), ("failed", "failed"), ("", "")])
def test_a_repeated_parameter_is_named(client, name, values):
    query = urlencode(
        [("limit", "3"), *((name, value) for value in values)]
        if name != "limit"
        else [(name, v) for v in values]
    )
    assert refused(client, query) == [(name, "repeated_parameter")]


def test_at_most_twenty_errors_are_listed(client):
    answer = client.get("/jobs?" + "&".join(f"p{number}=" for number in range(50)))
    problem = answer.json()
    assert (answer.status_code, len(problem["errors"])) == (400, 20)
    assert problem["detail"] == "50 values are not valid. `errors` describes the first 20."


def test_all_invalid_parameters_are_named_at_once(client):
    assert refused(client, "limit=0&status=done") == [
        ("status", "invalid_choice"),
        ("limit", "min_value"),
    ]


def test_a_tampered_cursor_is_refused(client):
    cursor = cursor_after("0", "default")
    assert client.get("/jobs", {"cursor": cursor}).status_code == 200
    for tampered in (cursor[:-1], "A" + cursor[1:], "0", ":", "ü:1:2"):
        assert refused(client, urlencode({"cursor": tampered})) == [("cursor", "bad_cursor")], (
            tampered
        )


def test_a_cursor_signed_for_another_purpose_is_refused(client):
    assert refused(client, urlencode({"cursor": signing.dumps("0", salt="other")})) == [
        ("cursor", "bad_cursor")
    ]
