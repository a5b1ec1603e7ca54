"""The options of a posted job: what is accepted, stored, shown and listed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import Job
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys

# About requests and answers, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
DAY = 86_400


@pytest.fixture(autouse=True)
def acme(make_vendor, monkeypatch):
    monkeypatch.setattr(redis_clock, "now", lambda: NOW)
    return make_vendor()


def post(client, options):
    body = {"vendor": "acme", "name": "John Doe", "options": options}
    return client.post("/jobs", json.dumps(body), content_type="application/json")


def shown(client, options):
    """Return what GET shows of a job that was posted with these options."""
    answer = post(client, options)
    assert answer.status_code == 202, answer.content
    job = client.get(answer["Location"]).json()
    assert client.get("/jobs?limit=1").json()["items"] == [job]
    names = ("reference", "metadata", "expires_at", "not_before")
    return {name: job[name] for name in names if job[name] is not None}


def test_options_are_not_passed_to_the_vendor(client):
    post(client, {"reference": "order-1", "metadata": {"a": "b"}, "expires_in": 60})
    assert Job.objects.get().input == {"name": "John Doe"}


@pytest.mark.parametrize("reference", ["order-1", " a ", "x" * 255, "ü/😀?&", "0"])
def test_a_reference_is_kept_as_it_was_sent(client, reference):
    assert shown(client, {"reference": reference}) == {"reference": reference}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"team": "growth", "empty": "", " spaces ": " kept "},
        {f"{n:064}": "ü" * 512 for n in range(16)},
        {"a/b~c": "\u2028"},
    ],
)
def test_metadata_is_kept_as_it_was_sent(client, metadata):
    assert shown(client, {"metadata": metadata}) == {"metadata": metadata}


@pytest.mark.parametrize("seconds", [1, 60, 60.0, 30 * DAY])
def test_expires_in_counts_from_the_request(client, seconds):
    expires_at = (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    assert shown(client, {"expires_in": seconds}) == {"expires_at": expires_at}
    job = Job.objects.get()
    assert job.deadline_at == job.expires_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("moment", "at"),
    [
        ("2026-05-01T12:00:01Z", "2026-05-01T12:00:01Z"),
        ("2026-05-01T14:30:00.25+02:00", "2026-05-01T12:30:00.250000Z"),
        ("2026-05-01 13:00:00+00:00", "2026-05-01T13:00:00Z"),
        ("2027-05-02T12:00:00Z", "2027-05-02T12:00:00Z"),
    ],
)
def test_a_job_is_delayed_until_not_before(client, redis_client, moment, at):
    assert shown(client, {"not_before": moment}) == {"not_before": at}
    job = Job.objects.get()
    assert (job.status, job.stream, job.queued_at) == ("queued", "jobs", job.not_before)
    assert redis_client.xlen(Keys("acme").jobs) == redis_client.xlen(Keys("acme").retries) == 0


@pytest.mark.parametrize("moment", ["2026-05-01T12:00:00Z", "2020-01-01T00:00:00+01:00"])
def test_a_time_in_the_past_delays_nothing(client, redis_client, moment):
    assert shown(client, {"not_before": moment}) == {}
    assert redis_client.xlen(Keys("acme").jobs) == 1


def test_retry_after_of_a_delayed_job_is_the_delay(client):
    answer = post(client, {"not_before": "2026-05-01T12:00:42Z"})
    assert answer["Retry-After"] == client.get(answer["Location"])["Retry-After"] == "42"
    assert post(client, {"not_before": "2026-06-01T12:00:00Z"})["Retry-After"] == "60"


def test_all_options_combine(client):
    options = {"reference": "r", "metadata": {"a": "b"}, "expires_in": 61}
    found = shown(client, {**options, "not_before": "2026-05-01T12:01:00Z"})
    assert found.keys() == {"reference", "metadata", "expires_at", "not_before"}


AT = "/options"
BAD = [
    ({"priority": 1}, f"{AT}/priority", "unknown_option"),
    ({"a/b~c": 1}, f"{AT}/a~1b~0c", "unknown_option"),
    ({"reference": ""}, f"{AT}/reference", "blank"),
    ({"reference": None}, f"{AT}/reference", "null"),
    ({"reference": 5}, f"{AT}/reference", "invalid"),
    ({"reference": "x" * 256}, f"{AT}/reference", "max_length"),
    ({"reference": "a\0b"}, f"{AT}/reference", "null_characters_not_allowed"),
    ({"metadata": None}, f"{AT}/metadata", "null"),
    ({"metadata": []}, f"{AT}/metadata", "not_a_dict"),
    ({"metadata": "a=b"}, f"{AT}/metadata", "not_a_dict"),
    ({"metadata": {str(n): "" for n in range(17)}}, f"{AT}/metadata", "max_length"),
    ({"metadata": {"": "x"}}, f"{AT}/metadata/", "invalid"),
    ({"metadata": {"k" * 65: "x"}}, f"{AT}/metadata/{'k' * 65}", "invalid"),
    ({"metadata": {"a/b": 1}}, f"{AT}/metadata/a~1b", "invalid"),
    ({"metadata": {"a": True}}, f"{AT}/metadata/a", "invalid"),
    ({"metadata": {"a": None}}, f"{AT}/metadata/a", "null"),
    ({"metadata": {"a\0": "b"}}, f"{AT}/metadata/a\0", "invalid"),
    ({"metadata": {"a": {}}}, f"{AT}/metadata/a", "invalid"),
    ({"metadata": {"a": "x" * 513}}, f"{AT}/metadata/a", "max_length"),
    *(({"expires_in": bad}, f"{AT}/expires_in", "invalid") for bad in ("60", 60.5, True, [], {})),
    ({"expires_in": None}, f"{AT}/expires_in", "null"),
    ({"expires_in": 0}, f"{AT}/expires_in", "min_value"),
    ({"expires_in": -1}, f"{AT}/expires_in", "min_value"),
    ({"expires_in": 30 * DAY + 1}, f"{AT}/expires_in", "max_value"),
    ({"expires_in": 10**900}, f"{AT}/expires_in", "max_value"),
    *(
        ({"not_before": bad}, f"{AT}/not_before", "invalid")
        for bad in (
            *(5, {}, True, "", "tomorrow", "2026-05-02", "2026-05-02T12:00:00"),
            *("2026-13-01T00:00:00Z", "२०२६-05-02T12:00:00Z", "2026-05-02T12:00:00 CET"),
        )
    ),
    ({"not_before": None}, f"{AT}/not_before", "null"),
    ({"not_before": "2027-05-02T12:00:01Z"}, f"{AT}/not_before", "max_value"),
    ({"not_before": "9999-12-31T23:59:59-23:59"}, f"{AT}/not_before", "overflow"),
    (
        {"expires_in": 60, "not_before": "2026-05-01T12:01:00Z"},
        f"{AT}/expires_in",
        "expires_too_early",
    ),
]


@pytest.mark.parametrize(("options", "pointer", "code"), BAD, ids=lambda value: str(value)[:60])
def test_an_invalid_option_is_named_by_its_pointer(client, options, pointer, code):
    answer = post(client, options)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, code)
    assert problem["errors"] == [{"pointer": pointer, "code": code, "detail": problem["detail"]}]
    assert not Job.objects.exists()


def test_all_invalid_options_are_named_at_once(client):
    problem = post(client, {"reference": 1, "metadata": {"a": 1, "b": 2}}).json()
    assert {error["pointer"] for error in problem["errors"]} == {
        "/options/reference",
        "/options/metadata/a",
        "/options/metadata/b",
    }


# GET /jobs?reference=


def ids(client, query):
    answer = client.get("/jobs", query)
    assert answer.status_code == 200, answer.content
    return [item["request_id"] for item in answer.json()["items"]]


def test_jobs_are_found_by_their_reference(client, make_job):
    wanted = [make_job(reference=" a/ü ").pk for _ in range(3)]
    failed = make_job(reference=" a/ü ", status="failed", vendor="globex").pk
    for other in ("", "a/ü", " A/Ü ", " a/ü "):
        make_job(reference=other, client="other" if other == " a/ü " else "default")
    assert ids(client, {"reference": " a/ü "}) == [failed, *wanted[::-1]]
    assert ids(client, {"reference": " a/ü ", "status": "failed"}) == [failed]
    assert ids(client, {"reference": " a/ü ", "status": "processing"}) == []
    assert ids(client, {"reference": " a/ü ", "vendor": "acme"}) == wanted[::-1]
    assert ids(client, {"reference": "nothing"}) == []


def test_pages_keep_the_reference(client, make_job):
    wanted = [make_job(reference="a&b").pk for _ in range(3)]
    make_job()
    first = client.get("/jobs", {"reference": "a&b", "limit": 2}).json()
    second = client.get(first["next"]).json()
    found = [item["request_id"] for item in first["items"] + second["items"]]
    assert (found, second["next"]) == (wanted[::-1], None)


@pytest.mark.parametrize(
    ("reference", "code"), [("", "blank"), ("a\0", "null_characters_not_allowed")]
)
def test_an_invalid_reference_is_refused(client, reference, code):
    answer = client.get("/jobs", {"reference": reference})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
