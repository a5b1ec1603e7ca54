"""What MongoDB is asked on the path of a job and in the console, to the letter, and that an index
answers it.
"""

from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory

from jobs import lifecycle
from jobs.api.intake import accept
from jobs.api.pagination import COLUMNS
from jobs.callbacks import inbox, refusals
from jobs.callbacks.rereading import Rereading
from jobs.callbacks.tokens import Try
from jobs.models import Attempt, Callback, Job, Status, Stream
from jobs.queue.clock import redis_clock
from jobs.recovery import lost_entries, rebuild, sweep, takeover
from jobs.storage.bulk_writes import insert_each
from tests.mongodb_recording import indexes_for, recording
from vendors.catalogue import catalogue
from vendors.models import Vendor

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STORED_NOW = NOW.replace(tzinfo=None)
ID = "019a0000-0000-7000-8000-000000000001"
LARGE = {"input", "result"}
COUNTED = [{"$project": {"_id": 1}}, {"$limit": 1000}]


@pytest.fixture(autouse=True)
def acme(monkeypatch):
    vendor = Vendor(slug="acme", rate_limits="10/s")
    monkeypatch.setattr(catalogue, "all", lambda: {"acme": vendor})
    monkeypatch.setattr(redis_clock, "now", lambda: NOW)
    return vendor


@pytest.fixture
def sent():
    with recording() as sent:
        yield sent


def columns(*names):
    return {"$project": dict.fromkeys(["_id", *names], 1)}


def columns_of(model, leaving_out=()):
    return columns(
        *(
            field.column
            for field in model._meta.concrete_fields[1:]
            if field.name not in leaving_out
        )
    )


RUNNING = {
    "vendor": "acme",
    "name": "John Doe",
    "input": {},
    "status": "processing",
    "attempt": 1,
    "worker": "w",
}


def running():
    return Job(id=ID, **RUNNING, started_at=NOW)


# The path of a job.


def test_to_start_a_batch_is_one_update_and_one_read_by_id(sent):
    lifecycle.claim([ID], worker="w", run_token="r", now=NOW, deadline_at=NOW)
    update, read = sent
    assert update.match == {"_id": {"$in": (ID,)}, "status": "queued", "not_before": None}
    assert update.whole[0]["$set"]["attempt"] == {"$add": ["$attempt", {"$literal": 1}]}
    assert read.whole == [{"$match": {"_id": {"$in": (ID,)}}}, columns(*lifecycle.OF_A_TRY)]
    assert all(("_id",) in indexes_for(each) for each in (update, read))


def test_a_move_is_found_by_its_id_and_leaves_its_token(sent):
    move = lifecycle.complete(running(), {"ok": True}, NOW)
    lifecycle.apply([move])
    update, who_happened = sent
    assert update.match == {"_id": ID, "status": {"$in": ("processing",)}, "attempt": 1}
    assert update.whole == {
        "$set": {
            "status": "complete",
            "result": '{"ok":true}',
            "finished_at": STORED_NOW,
            "deadline_at": None,
            "error_code": "",
            "error_message": "",
            "run_token": move.token,
        }
    }
    assert who_happened.whole == [{"$match": {"_id": {"$in": (ID,)}}}, columns("run_token")]
    assert all(("_id",) in indexes_for(each) for each in (update, who_happened))


def test_the_tries_of_a_batch_are_one_insert(sent):
    attempts = [lifecycle.complete(running(), {}, NOW).attempt for _ in range(3)]
    insert_each(attempts)
    [insert] = sent
    assert [document["_id"] for document in insert.whole] == [attempt.pk for attempt in attempts]


def test_a_job_is_accepted_in_one_round_trip(sent, redis_client):
    accept(Job(vendor="acme", name="John Doe", input={}))
    assert sent.round_trips == len(sent) == 1


@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_batch_is_started_and_recorded_in_four_round_trips_however_many_jobs_it_has(count):
    jobs = [Job(id=f"{ID[:-3]}{number:03}", **RUNNING, started_at=NOW) for number in range(count)]
    moves = [lifecycle.complete(job, {}, NOW) for job in jobs]
    with recording(finds_all=True) as sent:
        lifecycle.claim(
            [job.pk for job in jobs], worker="w", run_token="r", now=NOW, deadline_at=NOW
        )
        assert lifecycle.apply(moves) == [True] * count
    assert sent.round_trips == 4


def test_a_job_is_shown_by_its_id(sent, client):
    client.get(f"/jobs/{ID}")
    [read] = sent
    assert read.whole == [
        {"$match": {"_id": ID}},
        columns(*COLUMNS, "result", "queued_at", "not_before", "stream"),
    ]
    assert ("_id",) in indexes_for(read)


@pytest.mark.parametrize(
    ("query", "match", "index"),
    [
        ("", {}, ("_id",)),
        ("status=failed", {"status": {"$in": ("failed",)}}, ("status", "_id")),
        ("status=processing", {"status": {"$in": ("processing", "waiting")}}, ("status", "_id")),
        ("vendor=acme", {"vendor": "acme"}, ("vendor", "_id")),
        (
            "vendor=acme&status=failed",
            {"vendor": "acme", "status": {"$in": ("failed",)}},
            ("vendor", "status", "_id"),
        ),
        (
            "created_before=1970-01-01",
            {"_id": {"$lt": "00000000-0000-0000-0000-000000000000"}},
            ("_id",),
        ),
    ],
)
def test_jobs_are_listed_in_the_order_of_an_index(sent, client, query, match, index):
    client.get(f"/jobs?{query}")
    [read] = sent
    filters = [{"$match": match}] if match else []
    assert read.whole == [*filters, {"$sort": {"_id": -1}}, {"$limit": 21}, columns(*COLUMNS)]
    assert index in indexes_for(read)


# The sweep.


@pytest.mark.parametrize(
    ("step", "match", "by", "index"),
    [
        (
            sweep.enqueue_due_retries,
            {"status": "queued", "not_before": {"$lte": STORED_NOW}},
            "not_before",
            ("status", "not_before"),
        ),
        (
            sweep.resolve_overdue_callbacks,
            {"status": "waiting", "deadline_at": {"$lt": STORED_NOW}},
            "deadline_at",
            ("status", "deadline_at"),
        ),
        (
            sweep.take_over_overdue_calls,
            {"status": "processing", "deadline_at": {"$lt": STORED_NOW}},
            "deadline_at",
            ("status", "deadline_at"),
        ),
    ],
)
def test_what_is_due_is_found_in_the_order_of_an_index(sent, step, match, by, index):
    step()
    read = sent[0]
    assert read.whole[:3] == [{"$match": match}, {"$sort": {by: 1}}, {"$limit": 500}]
    assert index in indexes_for(read)


def test_lost_entries_are_looked_for_in_the_order_of_an_index(sent):
    lost_entries._requeue("acme", Stream.RETRIES, lost_entries._StreamTimes(NOW, NOW, NOW, NOW))
    [read] = sent
    queued = {"status": "queued", "vendor": "acme", "stream": "retries", "not_before": None}
    assert read.whole[:3] == [
        {"$match": {**queued, "queued_at": {"$lt": STORED_NOW + lost_entries.LOSS_GRACE}}},
        {"$sort": {"queued_at": 1}},
        {"$limit": 500},
    ]
    assert ("status", "vendor", "stream", "queued_at") in indexes_for(read)


def test_callbacks_without_a_verdict_are_found_by_an_index(sent):
    sweep.apply_stored_callbacks()
    [read] = sent
    assert read.match == {"verdict": "", "received_at": {"$lte": STORED_NOW - sweep.CALLBACK_GRACE}}
    assert ("verdict", "received_at") in indexes_for(read)


def test_callbacks_that_could_not_be_read_are_found_in_the_order_of_an_index(sent):
    Rereading().go_on(NOW)
    [read] = sent
    assert (read.match, read.sort) == ({"verdict": "unreadable"}, {"received_at": -1})
    assert ("verdict", "received_at") in indexes_for(read)


def test_a_callback_is_stored_applied_and_counted_by_indexes(sent, acme):
    acme.adapter = "async"
    inbox.receive(acme, ID, Try(1, 1), webhook_id="", body=b"{}", now=NOW)
    insert, move, token, job, verdict, of_run, of_vendor = sent
    assert move.match == {
        "_id": ID,
        "status": {"$in": ("waiting", "processing", "queued")},
        "vendor": "acme",
        "run": 1,
        "attempt": {"$gte": 1},
    }
    assert verdict.match["verdict"] == {"$in": ("", "unreadable", "unmatched")}
    assert all(("_id",) in indexes_for(each) for each in (move, token, job, verdict))
    counted = {"$in": ("", "late", "unreadable", "unmatched")}
    assert of_run.whole == [
        {"$match": {"job": ID, "run": 1, "verdict": counted}},
        {"$sort": {"received_at": 1}},
        {"$limit": 21},
        {"$project": {"body_bytes": 1, "received_at": 1}},
    ]
    assert ("job", "received_at") in indexes_for(of_run)
    assert of_vendor.whole == [
        {"$match": {"verdict": "unmatched", "vendor": "acme"}},
        {"$sort": {"received_at": 1}},
        {"$limit": 1001},
        {"$project": {"body_bytes": 1, "received_at": 1}},
    ]
    assert ("verdict", "received_at") in indexes_for(of_vendor)


def test_a_refused_callback_is_counted_by_indexes(sent):
    refusals.note("acme", ID, "token_wrong", body_bytes=1, now=NOW)
    refusals.hints([running()])
    job, hints = sent
    assert job.match == {"_id": ID, "vendor": "acme"}
    assert ("_id",) in indexes_for(job)
    assert ("job", "received_at") in indexes_for(hints)


def test_the_jobs_of_a_dead_worker_are_found_by_an_index(sent):
    takeover.take_from(
        list(Job.objects.filter(status=Status.PROCESSING, worker="w")[: takeover.BATCH]),
        {},
        lifecycle.take_over,
    )
    [read] = sent
    assert read.match == {"status": "processing", "worker": "w"}
    assert ("status", "_id") in indexes_for(read)


def test_the_calls_that_a_limit_must_know_are_found_in_the_order_of_an_index(
    sent, acme, redis_client
):
    rebuild._ended_us(acme)
    [read] = sent
    assert read.sort == {"started_at": -1}
    assert ("vendor", "started_at") in indexes_for(read)


# The console.


def show(model, **params):
    """Show the list as the console does to somebody who may do everything."""
    request = RequestFactory().get("/", params)
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    listing = admin.site._registry[model].get_changelist_instance(request)
    list(listing.result_list)


@pytest.mark.parametrize(
    ("params", "match", "by", "index"),
    [
        ({}, {}, "_id", ("_id",)),
        ({"status__exact": "failed"}, {"status": "failed"}, "_id", ("status", "_id")),
        ({"vendor": "acme"}, {"vendor": "acme"}, "_id", ("vendor", "_id")),
        (
            {"status__exact": "failed", "vendor": "acme", "id__lt": "01"},
            {"status": "failed", "vendor": "acme", "_id": {"$lt": "01"}},
            "_id",
            ("vendor", "status", "_id"),
        ),
        ({"q": ID}, {"_id": ID}, "_id", ("_id",)),
        ({"q": "John"}, {"name": {"$gte": "John", "$lt": "John\U0010ffff"}}, "name", ("name",)),
    ],
    ids=str,
)
def test_the_console_lists_jobs_in_the_order_of_an_index(sent, params, match, by, index):
    show(Job, **params)
    count, page = sent
    filters = [{"$match": match}] if match else []
    assert count.whole[: len(filters) + 2] == [*filters, *COUNTED]
    order = {by: 1 if by == "name" else -1}
    assert page.whole == [*filters, {"$sort": order}, {"$limit": 50}, columns_of(Job, LARGE)]
    assert index in indexes_for(page)


@pytest.mark.parametrize(
    ("params", "match", "by", "index"),
    [
        ({}, {}, "_id", ("_id",)),
        ({"verdict": "late"}, {"verdict": "late"}, "received_at", ("verdict", "received_at")),
        ({"vendor": "acme"}, {"vendor": "acme"}, "_id", ("vendor", "_id")),
        ({"q": ID}, {"job": ID}, "received_at", ("job", "received_at")),
    ],
    ids=str,
)
def test_the_console_lists_callbacks_in_the_order_of_an_index(sent, params, match, by, index):
    show(Callback, **params)
    _, page = sent
    filters = [{"$match": match}] if match else []
    assert page.whole == [
        *filters,
        {"$sort": {by: -1}},
        {"$limit": 50},
        columns_of(Callback, {"body"}),
    ]
    assert index in indexes_for(page)


def test_a_query_without_an_index_would_be_seen(sent):
    list(Job.objects.filter(worker="w").order_by("-id"))
    list(Job.objects.filter(status="failed").order_by("finished_at"))
    list(Attempt.objects.filter(outcome="done"))
    assert [indexes_for(read) for read in sent] == [[], [], []]
