"""POST /batches again with one key: it goes on, or is replayed, and each item is there once."""

from io import BytesIO

import pytest
from django.db import OperationalError

from harness.clients import bearer, make_key
from jobs import batches
from jobs.api import intake
from jobs.api.batches.posting import receiver, upload
from jobs.models import Batch, Job, RefusedItem
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys
from jobs.storage import bulk_writes
from jobs.tests.api.batches.conftest import JOHN, CutShort
from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.django_db

BAD = {"vendor": "acme"}
ITEMS = [JOHN, BAD, {**JOHN, "n": 2}, {**JOHN, "n": 3}]
REUSED = (422, "idempotency_key_reused")


def refusals(answer):
    assert answer.status_code == 202, answer.content
    return [(each["index"], each["status"], each["code"]) for each in answer.json()["refusals"]]


def rows():
    """Return the indexes of the jobs and of the refused items."""
    return tuple(
        list(model.objects.order_by("batch_index").values_list("batch_index", flat=True))
        for model in (Job, RefusedItem)
    )


@pytest.fixture
def acme(acme, redis_client):
    return acme


@pytest.fixture
def enable(acme):
    def enable(is_enabled):
        Vendor.objects.update(enabled=is_enabled)
        catalogue.forget()

    return enable


@pytest.fixture
def during(monkeypatch):
    """Have something happen once, between what an upload reads and what it writes."""

    def during(act):
        store = receiver.Receiver._store

        def store_later(*arguments, **options):
            monkeypatch.setattr(receiver.Receiver, "_store", store)
            act()
            return store(*arguments, **options)

        monkeypatch.setattr(receiver.Receiver, "_store", store_later)

    return during


@pytest.mark.parametrize("way", ["json", "lines"])
def test_a_sealed_batch_is_replayed(api, acme, redis_client, enable, way):
    post = getattr(api, way)
    first = post(ITEMS, key="k-1", vendor="acme", reference="monday")
    enable(False)  # what was valid then may not be so now
    again = post(ITEMS, key="k-1", vendor="acme", reference="monday")
    assert again["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert refusals(again) == [(1, 400, "required")]
    assert rows() == ([0, 2, 3], [1])
    assert redis_client.xlen(Keys("acme").jobs) == 3


def test_a_replay_compares_each_item(api, acme):
    api.lines(ITEMS)
    changed = [JOHN, {**BAD, "n": 1}, {**JOHN, "n": 2.0}, {**JOHN, "n": 3}, JOHN, BAD]
    assert refusals(api.lines(changed)) == [
        (1, *REUSED),
        (2, *REUSED),
        (4, 409, "batch_sealed"),
        (5, 409, "batch_sealed"),
    ]
    assert rows() == ([0, 2, 3], [1])


@pytest.mark.sqlite
def test_what_is_no_object_is_compared_too(api, acme, settings):
    long = b'{"n": "%s"}' % (b"x" * 200_000)
    for end in (b"", b" "):
        answer = api.lines(b"\n".join([b"{]", b"[1]", long + end]))
        again = [REUSED if end else (413, "too_large")]
        assert refusals(answer) == [
            (0, 400, "invalid_json"),
            (1, 400, "not_an_object"),
            *((2, *each) for each in again),
        ]


@pytest.mark.sqlite
@pytest.mark.parametrize("way", ["json", "lines"])
def test_another_reference_is_another_batch(api, acme, way):
    post = getattr(api, way)
    post([JOHN], key="k-1", reference="monday")
    for reference in ({}, {"reference": "tuesday"}):
        answer = post([JOHN], key="k-1", **reference)
        assert (answer.status_code, answer.json()["code"]) == REUSED
    assert Batch.objects.count() == 1


@pytest.mark.sqlite
def test_defaults_count_as_if_each_item_had_them(api, acme):
    api.lines([{"name": "John Doe"}], vendor="acme")
    assert refusals(api.json([JOHN], key="k-1")) == []
    assert refusals(api.lines([{"name": "John Doe"}], vendor="acme", options={})) == []
    answer = api.lines([JOHN], options={"expires_in": 5})
    assert (answer.status_code, answer.json()["code"]) == REUSED


@pytest.mark.sqlite
@pytest.mark.parametrize("way", ["json", "lines"])
def test_a_key_of_a_batch_with_other_items_only_is_refused(api, acme, way):
    post = getattr(api, way)
    post([JOHN, BAD], key="k-1")
    answer = post([{**JOHN, "n": 1}, JOHN, JOHN], key="k-1")
    assert (answer.status_code, answer.json()["code"]) == REUSED
    assert refusals(post([JOHN, JOHN], key="k-1")) == [(1, *REUSED)]


@pytest.mark.sqlite
def test_keys_belong_to_a_client_and_are_not_those_of_jobs(api, acme, client):
    api.lines([JOHN])
    for slug in ("team-a", "team-b"):
        headers = bearer(make_key(slug))
        body = b'{"vendor": "acme", "name": "John Doe"}'
        for path, kind in (("/batches", "application/jsonl"), ("/jobs", "application/json")):
            keyed = {**headers, "Idempotency-Key": "k-1"}
            answer = client.post(path, body, kind, headers=keyed)
            assert (answer.status_code, "Idempotency-Replayed" in answer) == (202, False)
    assert Batch.objects.count() == 3


@pytest.mark.parametrize("stream", [CutShort, BytesIO])
def test_an_upload_that_was_cut_off_goes_on(api, acme, redis_client, stream):
    api.cut(ITEMS[:3], stream=stream)
    batch = Batch.objects.get()
    assert (batch.state, rows()) == ("receiving", ([0, 2], [1]))
    changed = [{**JOHN, "n": 0}, *ITEMS[1:]]
    assert refusals(api.lines(changed)) == [(0, *REUSED), (1, 400, "required")]
    batch.refresh_from_db()
    assert (batch.state, rows()) == ("running", ([0, 2, 3], [1]))
    assert redis_client.xlen(Keys("acme").jobs) == 3


@pytest.mark.sqlite
def test_a_refused_item_stays_refused(api, acme, enable):
    enable(False)
    api.cut([JOHN])
    enable(True)
    assert refusals(api.lines([JOHN, JOHN])) == [(0, 400, "vendor_disabled")]
    assert rows() == ([1], [0])


@pytest.mark.sqlite
def test_a_refusal_that_an_upload_left_beside_a_job_is_gone_when_it_is_repeated(api, acme):
    api.lines(ITEMS)
    RefusedItem.new(Batch.objects.get().pk, 0, 400, "vendor_disabled", "No.").save()
    assert refusals(api.lines(ITEMS)) == [(1, 400, "required")]
    assert rows() == ([0, 2, 3], [1])


@pytest.mark.sqlite
def test_references_are_used_once_over_all_uploads(api, acme):
    def item(reference, **more):
        return {**JOHN, **more, "options": {"reference": reference}}

    api.cut([item("a"), item("b")])
    answer = api.lines([item("x"), item("b"), item("a"), item("b"), item("x")])
    assert refusals(answer) == [
        (0, *REUSED),
        (2, 400, "duplicate_reference"),  # of the job that is there
        (3, 400, "duplicate_reference"),
    ]


def test_an_outage_in_the_middle_keeps_what_was_stored(api, acme, monkeypatch):
    monkeypatch.setattr(upload, "CHUNK_ITEMS", 2)
    insert = intake.insert
    with monkeypatch.context() as patch:
        patch.setattr(
            intake,
            "insert",
            lambda jobs: insert(jobs) if jobs[0].batch_index < 2 else _fail(),
        )
        answer = api.lines(ITEMS)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert (Batch.objects.get().state, rows()) == ("receiving", ([0], [1]))
    assert refusals(api.lines(ITEMS)) == [(1, 400, "required")]
    assert rows() == ([0, 2, 3], [1])


def _fail():
    raise OperationalError("away")


@pytest.mark.sqlite
def test_json_without_a_key_is_done_as_a_whole_or_not_at_all(api, acme, monkeypatch):
    monkeypatch.setattr(bulk_writes, "insert_each", _fail_for(Job, bulk_writes.insert_each))
    assert api.json([BAD, JOHN]).status_code == 503
    assert (Batch.objects.count(), rows()) == (0, ([], []))


def _fail_for(model, insert):
    return lambda rows: _fail() if isinstance(rows[0], model) else insert(rows)


# Two uploads at once.


def test_another_upload_makes_the_same_batch_first(api, acme, during, redis_client):
    during(lambda: api.lines(ITEMS))
    answer = api.lines([*ITEMS, JOHN])
    assert refusals(answer) == [(1, 400, "required"), (4, 409, "batch_sealed")]
    assert "Idempotency-Replayed" not in answer
    assert (Batch.objects.count(), rows()) == (1, ([0, 2, 3], [1]))
    assert redis_client.xlen(Keys("acme").jobs) == 3


def test_another_upload_overtakes_the_one_that_made_the_batch(api, acme, during, monkeypatch):
    monkeypatch.setattr(upload, "CHUNK_ITEMS", 2)
    insert = intake.insert

    def insert_first_chunk(jobs):
        monkeypatch.setattr(intake, "insert", insert)
        during(lambda: api.lines(ITEMS))  # before the second chunk is stored
        return insert(jobs)

    monkeypatch.setattr(intake, "insert", insert_first_chunk)
    assert refusals(api.lines(ITEMS)) == [(1, 400, "required")]
    assert (Batch.objects.get().state, rows()) == ("running", ([0, 2, 3], [1]))


def test_another_upload_is_in_the_middle_of_the_same_items(api, acme, during, redis_client):
    api.cut(ITEMS[:1])
    during(lambda: api.cut([*ITEMS[:2], {**JOHN, "n": 0}]))
    assert refusals(api.lines(ITEMS)) == [(1, 400, "required"), (2, *REUSED)]
    assert (Batch.objects.get().state, rows()) == ("running", ([0, 2, 3], [1]))
    assert redis_client.xlen(Keys("acme").jobs) == 3


@pytest.mark.parametrize("was_first", ["job", "refusal"])
def test_a_job_overrules_the_refusal_of_another_upload(api, acme, during, enable, was_first):
    api.cut(ITEMS[:1])
    mine, theirs = (True, False) if was_first == "refusal" else (False, True)
    enable(mine)

    def meanwhile():
        enable(theirs)
        api.cut(ITEMS[:2] + ITEMS[2:3])
        enable(mine)

    during(meanwhile)
    answer = api.lines(ITEMS[:3])
    assert [each[0] for each in refusals(answer)] == [1]
    assert rows() == ([0, 2], [1])


@pytest.mark.parametrize("acts", [("seal",), ("seal", "finish"), ("cancel",), ("cancel", "finish")])
def test_a_batch_that_is_sealed_between_two_writes_takes_its_items_in(api, acme, monkeypatch, acts):
    """On MongoDB, where a commit is one write."""
    api.cut([BAD])
    insert = intake.insert

    def insert_later(jobs):
        monkeypatch.setattr(intake, "insert", insert)
        batch = Batch.objects.get()
        if acts[0] == "seal":
            batches.seal(batch.pk, redis_clock.now())
        else:
            batches.request_cancel(batch.pk, redis_clock.now())
        if "finish" in acts:
            assert batches.finish(Batch.objects.get())
        return insert(jobs)

    monkeypatch.setattr(intake, "insert", insert_later)
    answer = api.lines([BAD, JOHN])
    batch = Batch.objects.get()
    assert (answer.json()["state"], batch.state, batch.finished_at) == ("running", "running", None)
    assert bool(batch.cancel_requested_at) == (acts[0] == "cancel")
    assert not batches.finish(batch)
