"""The exact queries that MongoDB gets for batches, with their indexes."""

from datetime import UTC, datetime

import pytest

from jobs import batches, operator_actions
from jobs.models import Batch, Job, RefusedItem
from jobs.queue.clock import redis_clock
from jobs.recovery.batches import ABANDONED_AFTER, BatchSweep
from jobs.transfer.prune import Prune
from tests.mongodb_recording import indexes_for, recording
from vendors.catalogue import catalogue
from vendors.models import Vendor

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STORED_NOW = NOW.replace(tzinfo=None)
ID = "019a0000-0000-7000-8000-000000000001"
# Of the partial indexes, which MongoDB considers for a comparison with a text.
OF_BATCH = {"batch": ID, "$and": [{"batch": {"$gt": ""}}]}
BY_STATUS, BY_INDEX = ("batch", "status", "vendor", "finished_at"), ("batch", "batch_index")


@pytest.fixture(autouse=True)
def fixed_clock_and_vendors(monkeypatch):
    monkeypatch.setattr(catalogue, "all", lambda: {"acme": Vendor(slug="acme")})
    monkeypatch.setattr(redis_clock, "now", lambda: NOW)


@pytest.fixture
def sent():
    with recording() as sent:
        yield sent


def running(**fields):
    return Batch(id=ID, state="running", sealed_at=NOW, **fields)


def test_a_batch_is_finished_by_three_reads_and_an_update(sent):
    assert not batches.finish(running())
    is_open, refused, last, update = sent
    statuses = ("queued", "processing", "waiting")
    assert is_open.whole == [
        {"$match": {**OF_BATCH, "status": {"$in": statuses}}},
        {"$project": {"a": {"$literal": 1}}},
        {"$limit": 1},
    ]
    assert (refused.collection, refused.sort) == ("jobs_refuseditem", {"_id": 1})
    assert last.match == OF_BATCH
    assert all(BY_STATUS in indexes_for(each) for each in (is_open, last))
    assert update.match["_id"] == ID
    assert update.whole[0]["$set"].keys() == {"state", "finished_at"}


@pytest.mark.parametrize(
    ("requested", "match"),
    [
        ("cancel_requested_at", {"status": {"$in": ("queued", "waiting")}}),
        (
            "retry_requested_at",
            {
                "status": "failed",
                "vendor": {"$in": ("acme",)},
                "finished_at": {"$lte": STORED_NOW},
            },
        ),
    ],
)
def test_jobs_to_cancel_or_retry_are_found_with_an_index(sent, requested, match):
    operator_actions.advance(running(**{requested: NOW}))
    read = sent[0]
    assert {**read.match, **OF_BATCH, **match} == read.match
    assert {"$limit": operator_actions.CHUNK} in read.whole
    assert BY_STATUS in indexes_for(read)


@pytest.mark.parametrize(
    ("step", "match", "order"),
    [
        (
            "seal_abandoned",
            {"state": "receiving", "received_at": {"$lte": STORED_NOW - ABANDONED_AFTER}},
            {},
        ),
        ("advance", {"state": "running", "_id": {"$gt": ""}}, {"_id": 1}),
    ],
)
def test_the_sweep_finds_batches_with_an_index(sent, step, match, order):
    getattr(BatchSweep(), step)()
    [read] = sent
    assert (read.match, read.sort) == (match, order)
    assert {"$limit": 500} in read.whole
    assert ("state", "_id") in indexes_for(read)


def test_a_prune_finds_batches_and_refused_items_in_the_order_of_an_index(sent):
    prune = Prune(NOW)
    assert [*prune.batches(), *prune.orphans()] == []
    finished, *_, items = sent
    assert (finished.match["state"], finished.sort) == ("finished", {"_id": 1})
    assert ("state", "_id") in indexes_for(finished)
    assert (items.collection, items.match.keys()) == ("jobs_refuseditem", {"_id"})


@pytest.mark.parametrize(
    ("rows", "match", "index"),
    [
        (Job.of_batch(ID).filter(batch_index__gte=7).order_by("batch_index"), OF_BATCH, BY_INDEX),
        (Job.of_batch(ID).filter(batch_index__in=[7, 8]), OF_BATCH, BY_INDEX),
        (RefusedItem.of_batch(ID).order_by("pk"), {}, ("_id",)),
    ],
    ids=["in order", "of some indexes", "refused items"],
)
def test_items_are_found_in_the_order_of_an_index(sent, rows, match, index):
    list(rows[:500])
    [read] = sent
    assert match.items() <= read.match.items()
    assert index in indexes_for(read)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, ("client", "_id")),
        ({"state": "running"}, ("client", "state", "_id")),
        ({"reference": "monday"}, ("client", "reference", "_id")),
    ],
    ids=str,
)
def test_batches_are_listed_in_the_order_of_an_index(sent, filters, index):
    list(Batch.owned.by("default").filter(**filters).order_by("-pk")[:21])
    [read] = sent
    assert (read.match, read.sort) == ({"client": "default", **filters}, {"_id": -1})
    assert index in indexes_for(read)


def test_a_batch_is_found_by_its_idempotency_key_with_an_index(sent):
    list(Batch.owned.by("default").filter(idempotency_key="k-1", idempotency_key__gt="")[:1])
    [read] = sent
    assert ("client", "idempotency_key") in indexes_for(read)
