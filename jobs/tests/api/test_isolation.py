"""Clients can't see each other, by any route: what another client has is what never was."""

import json
from collections.abc import Iterator
from itertools import chain

import pytest

from harness.clients import bearer, make_key
from jobs.api.pagination import cursor_after
from jobs.models import FINAL, Batch, Job, Status
from jobs.tests.batch_rows import make_batch
from tests.counting import asking_the_store
from vendors.models import new_id

pytestmark = pytest.mark.django_db

CLIENTS = ("team-a", "team-b", "team-c")
OTHERS = CLIENTS[1:]
NOT_OURS = ("/vendor-webhook/", "/mock-vendors/")  # other doors, with tokens of their own
# Every parameter of every operation. A new one must be added, with values that may find others'.
PATH_PARAMETERS = {"request_id", "batch_id"}
CURSOR = "cursor"
HEADERS = {"Idempotency-Key": '"shared"'}


def marked(client: str, what: str) -> str:
    """Return a text that only this client's rows have."""
    return f"{what}-of-{client}"


@pytest.fixture(autouse=True)
def batches() -> dict[str, Batch]:
    """A finished batch of each client."""
    return {
        client: make_batch(client=client, state="finished", reference=marked(client, "reference"))
        for client in CLIENTS
    }


@pytest.fixture(autouse=True)
def jobs(make_vendor, make_job, batches) -> dict[str, list[Job]]:
    """Jobs of each client in each status, created in turn. The final ones are its batch's."""
    make_vendor("acme")
    make_vendor("beta")
    jobs: dict[str, list[Job]] = {client: [] for client in CLIENTS}
    for status in Status.values:
        for client in CLIENTS:
            mark = marked(client, "input")
            row = make_job(
                client=client, status=status, name=marked(client, "name"), input={"name": mark}
            )
            Job.objects.filter(pk=row.pk).update(
                reference=marked(client, "reference"),
                metadata={"of": marked(client, "metadata")},
                result={"for": marked(client, "result")} if status == Status.COMPLETE else None,
                batch=batches[client].pk if status in FINAL else "",
                batch_index=len(jobs[client]) if status in FINAL else None,
            )
            jobs[client].append(row)
    return jobs


@pytest.fixture
def keys() -> dict[str, str]:
    return {client: make_key(client) for client in CLIENTS}


@pytest.fixture
def operations(client, keys) -> list[tuple[str, str, dict]]:
    """Every operation of the schema as method, path and description."""
    schema = client.get("/schema?format=json", headers=bearer(keys["team-a"])).json()
    found = [
        (method.upper(), path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if not path.startswith(NOT_OURS)
    ]
    assert {("POST", "/jobs"), ("GET", "/jobs"), ("GET", "/jobs/{request_id}")} <= {
        (method, path) for method, path, _ in found
    }
    return found


@pytest.fixture
def send(client, keys):
    def send(method, path, data=None, sender="team-a"):
        body = json.dumps({"vendor": "acme", "name": "Jane", **(data or {})}) if data else ""
        headers = {**bearer(keys[sender]), **HEADERS}
        return client.generic(method, path, body, "application/json", headers=headers)

    return send


def raw(answer) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.content, sorted(answer.items())


def traces(client: str, rows: list[Job | Batch]) -> Iterator[bytes]:
    """Return what an answer about this client's rows would contain."""
    yield f"-of-{client}".encode()
    yield from (row.pk.encode() for row in rows)


@pytest.fixture
def assert_blind(jobs, batches):
    """Assert that an answer to the first client shows nothing of the others."""
    of_clients = (traces(client, [*jobs[client], batches[client]]) for client in OTHERS)
    foreign = list(chain.from_iterable(of_clients))

    def check(answer):
        everything = answer.content + repr(sorted(answer.items())).encode()
        assert not [trace for trace in foreign if trace in everything]

    return check


def stored(client: str) -> list[dict]:
    return list(Job.objects.filter(client=client).order_by("pk").values())


def with_id(path: str, row_id: str) -> str:
    return path.format(request_id=row_id, batch_id=row_id)


def test_every_operation_is_known(operations):
    """Otherwise the tests below would not walk it."""
    named = {
        (each["in"], each["name"])
        for _, _, operation in operations
        for each in operation.get("parameters", [])
        if each["in"] == "path"
    }
    assert named == {("path", name) for name in PATH_PARAMETERS}


def test_a_foreign_id_answers_like_one_that_never_was(operations, jobs, batches, send):
    before = [stored(client) for client in OTHERS]
    by_id = [(method, path) for method, path, _ in operations if "{" in path]
    assert len(by_id) >= 7
    for method, path in by_id:
        for sent in {method, "GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"}:
            never = raw(send(sent, with_id(path, new_id())))
            assert never[0] in (404, 405)
            for client in OTHERS:
                for row in [batches[client]] if "batch" in path else jobs[client]:
                    for spelling in (row.pk, row.pk.upper()):
                        assert raw(send(sent, with_id(path, spelling))) == never
    assert [stored(client) for client in OTHERS] == before


def test_a_foreign_id_costs_what_one_that_never_was_costs(lasting_keys, jobs, batches, send):
    send("GET", "/jobs/x")  # reads who may ask
    for method, path in (
        *(("GET", "/jobs/{}"), ("GET", "/batches/{}")),
        *(("POST", "/jobs/{}/cancel"), ("POST", "/jobs/{}/retry")),
    ):
        asked = {}
        rows = [batches["team-b"]] if "batch" in path else jobs["team-b"]
        for row_id in (new_id(), *(row.pk for row in rows)):
            with asking_the_store() as of_store:
                assert send(method, path.format(row_id)).status_code == 404
            asked[tuple(of_store)] = row_id
        assert len(asked) == 1


def test_lists_show_only_the_clients_own_jobs(operations, jobs, send, assert_blind):
    lists = [
        (path, [each["name"] for each in operation["parameters"] if each["in"] == "query"])
        for method, path, operation in operations
        if method == "GET" and "{" not in path and operation.get("parameters")
    ]
    assert CURSOR in dict(lists)["/jobs"]
    assert CURSOR in dict(lists)["/batches"]
    values = [
        *("acme", "beta", "default", "team-b", "2020-01-01", "2099-01-01", "1", "100"),
        *Status.values,
        *(marked("team-b", what) for what in ("name", "reference", "metadata", "input")),
        *(job.pk for job in jobs["team-b"]),
    ]
    for path, names in lists:
        assert_blind(send("GET", path))
        for name in names:
            for value in values:
                answer = send("GET", f"{path}?{name}={value}")
                assert answer.status_code in (200, 400)
                assert_blind_but_for(answer, value, assert_blind)


def assert_blind_but_for(answer, value, assert_blind):
    """What the client itself sent may come back in `next` and in errors."""
    if len(value) > len("team-b"):
        answer.content = answer.content.replace(value.encode(), b"")
    assert_blind(answer)


def test_pages_of_interleaved_jobs_have_no_gaps_and_nothing_of_others(jobs, send, assert_blind):
    path, found = "/jobs?limit=2", []
    while path:
        page = send("GET", path)
        assert_blind(page)
        found += [item["request_id"] for item in page.json()["items"]]
        path = page.json()["next"]
    assert found == [job.pk for job in reversed(jobs["team-a"])]


@pytest.mark.parametrize(
    "path",
    [
        "/jobs?",
        "/jobs?status=complete&",
        "/jobs?vendor=acme&limit=1&",
        "/batches?",
        "/batches?state=finished&",
    ],
)
def test_a_foreign_cursor_answers_like_a_made_up_one(jobs, batches, send, path):
    made_up = raw(send("GET", f"{path}cursor=abc:def:ghi"))
    assert made_up[0] == 400
    for row in [*jobs["team-b"], batches["team-b"]]:
        address = f"{path}cursor={cursor_after(row.pk, 'team-b')}"
        assert raw(send("GET", address)) == made_up
        assert send("GET", address, sender="team-b").status_code == 200


@pytest.mark.parametrize("name", ["client", "_client", "owner", "client_id", "tenant"])
def test_the_owner_is_that_of_the_key_whatever_the_body_says(send, name):
    answer = send("POST", "/jobs", {name: "team-b"})
    assert answer.status_code == 202
    job = Job.objects.get(pk=answer.json()["request_id"])
    assert (job.client, job.input[name]) == ("team-a", "team-b")
    assert send("GET", f"/jobs/{job.pk}", sender="team-b").status_code == 404


def test_the_idempotency_key_of_another_client_has_no_effect(send, assert_blind):
    theirs = send("POST", "/jobs", {"city": "Ulm"}, sender="team-b")
    ours = send("POST", "/jobs", {"city": "Bonn"})
    assert (theirs.status_code, ours.status_code) == (202, 202)
    assert theirs.json()["request_id"] != ours.json()["request_id"]
    assert not ours.has_header("Idempotency-Replayed")
    assert_blind(ours)


def test_errors_about_jobs_of_others_name_nothing(operations, send, assert_blind):
    for method, path, _ in operations:
        for data in ({"vendor": "unknown"}, {"name": 5}, {"options": {"x": 1}}, None):
            assert_blind(send(method, with_id(path, "x"), data))
