"""GET /batches and GET /batches/{batch_id}."""

from datetime import timedelta

import pytest
from django.utils import timezone

from harness.clients import bearer, make_key
from jobs.models import Job, RefusedItem, State
from jobs.tests.batch_rows import ENDED, add_item, make_batch, now_stored
from tests.counting import asking_the_store
from vendors.models import new_id

pytestmark = pytest.mark.django_db

SOME = ("queued", "processing", "waiting", "complete", "failed", "cancelled", "refused", "refused")


def test_a_batch_is_shown_with_the_numbers_of_its_items(client):
    batch = make_batch(*SOME, reference="monday")
    make_batch("complete")
    answer = client.get(f"/batches/{batch.pk.upper()}")
    created_at = batch.created_at.isoformat().replace("+00:00", "Z")
    assert answer.json() == {
        "batch_id": batch.pk,
        "state": "running",
        "reference": "monday",
        "received": 8,
        "counts": {
            **{"queued": 1, "processing": 2, "complete": 1},
            **{"failed": 1, "cancelled": 1, "refused": 2},
        },
        "created_at": created_at,
        "sealed_at": created_at,
        "finished_at": None,
        "cut_short": False,
        "pending_action": None,
    }
    assert (answer.status_code, answer["Retry-After"]) == (200, "1")


def test_whoever_looks_finishes_a_batch_without_open_jobs(client):
    batch = make_batch("complete", "failed", "refused", sealed_at=ENDED - timedelta(hours=1))
    answer = client.get(f"/batches/{batch.pk}")
    assert (answer.json()["state"], answer.json()["counts"]["failed"]) == ("finished", 1)
    assert answer.json()["finished_at"] == "2026-05-01T12:00:00Z"
    assert not answer.has_header("Retry-After")
    assert now_stored(batch).state == "finished"


@pytest.mark.parametrize(
    "fields", [{"state": "receiving", "sealed_at": None}, {"retry_requested_at": ENDED}]
)
def test_a_batch_is_not_finished_while_more_is_to_come(client, fields):
    batch = make_batch("complete", **fields)
    assert client.get(f"/batches/{batch.pk}").json()["state"] != "finished"


def test_a_finished_batch_with_an_open_job_runs_again(client):
    """As a crash between two writes leaves it on MongoDB."""
    batch = make_batch("queued", state="finished", finished_at=ENDED, cancel_requested_at=ENDED)
    shown = client.get(f"/batches/{batch.pk}").json()
    assert (shown["state"], shown["finished_at"]) == ("running", None)
    assert shown["pending_action"] == "cancel"


def test_the_older_a_batch_the_later_it_is_worth_another_look(client):
    for seconds, expected in ((0, "1"), (200, "21"), (7200, "60")):
        at = timezone.now() - timedelta(seconds=seconds)
        batch = make_batch("queued", created_at=at)
        assert abs(int(client.get(f"/batches/{batch.pk}")["Retry-After"]) - int(expected)) <= 1


@pytest.mark.parametrize("batch_id", ["01a22a15-9809-70dd-b07b-47f8573b30e5", "x", "a" * 36])
def test_a_batch_that_does_not_exist_is_not_found(client, batch_id):
    answer = client.get(f"/batches/{batch_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_batch_is_shown_without_reading_a_job(client, lasting_keys):
    batch = make_batch(*SOME)
    client.get("/batches/x")  # reads who may ask
    with asking_the_store() as of_store:
        client.get(f"/batches/{batch.pk}")
    assert len(of_store) == 3


def test_batches_are_listed_newest_first_and_page_by_page(client):
    ids = [make_batch("complete", reference=f"r{number % 2}").pk for number in range(5)]
    make_batch(client="billing")
    found, path = [], "/batches?limit=2"
    while path:
        page = client.get(path).json()
        found += [item["batch_id"] for item in page["items"]]
        path = page["next"]
    assert found == ids[::-1]
    shown = client.get(f"/batches/{ids[0]}").json()
    listed = client.get("/batches?state=finished").json()["items"]
    assert listed == [{k: v for k, v in shown.items() if k not in ("counts", "received")}]
    assert [
        item["batch_id"] for item in client.get("/batches?reference=r1&limit=1").json()["items"]
    ] == [ids[3]]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state=done", "invalid_choice"),
        ("page=2", "unknown_parameter"),
        ("limit=101", "max_value"),
        ("cursor=abc:def:ghi", "bad_cursor"),
        ("reference=a%00b", "null_characters_not_allowed"),
    ],
)
def test_an_invalid_parameter_of_a_list_is_named(client, query, code):
    answer = client.get(f"/batches?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_key_for_some_vendors_sees_only_batches_for_these(client, make_vendor):
    make_vendor("acme")
    make_vendor("globex")
    key = make_key("default", vendors="acme, globex")
    own, refused = make_batch("complete", "queued"), make_batch("refused")
    add_item(own, 2, "failed", vendor="globex")
    mixed = make_batch("complete", "queued", state=State.RECEIVING)
    add_item(mixed, 2, "cancelled", vendor="initech")
    listed = client.get("/batches?limit=2", headers=bearer(key)).json()
    assert [item["batch_id"] for item in listed["items"]] == [refused.pk]
    rest = client.get(listed["next"], headers=bearer(key)).json()["items"]
    assert [item["batch_id"] for item in rest] == [own.pk]
    jobs, items = Job.objects.values(), RefusedItem.objects.values()
    before = [*jobs.order_by("pk"), *items]
    for method, path in (
        *(("get", ""), ("get", "/results?partial=true")),
        *(("post", "/cancel"), ("post", "/retry")),
    ):
        sent = getattr(client, method)
        answer = sent(f"/batches/{mixed.pk}{path}", headers=bearer(key))
        never = sent(f"/batches/{new_id()}{path}", headers=bearer(key))
        assert (answer.status_code, answer.content) == (404, never.content)
    assert [*jobs.order_by("pk"), *items] == before
