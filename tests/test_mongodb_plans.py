"""The exact queries that MongoDB gets on the path of a job and in the sweep, with their indexes."""

from datetime import UTC, datetime

import pytest

from jobs import lifecycle
from jobs.api import idempotency
from jobs.api.intake import accept
from jobs.api.pagination import COLUMNS
from jobs.callbacks import receive, refusals
from jobs.callbacks.retry_unreadable import UnreadableRetries
from jobs.callbacks.tokens import AttemptRef
from jobs.models import Attempt, Job, Status, Stream
from jobs.queue.clock import redis_clock
from jobs.recovery import lost_entries, sweep, takeover
from jobs.recovery.rebuild.rows import Rows, Selection
from jobs.storage.bulk_writes import insert_each
from tests.mongodb_recording import columns, indexes_for, recording
from vendors.base import Done
from vendors.catalogue import catalogue
from vendors.models import Vendor

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STORED_NOW = NOW.replace(tzinfo=None)
ID = "019a0000-0000-7000-8000-000000000001"


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


def test_claiming_jobs_is_one_update_and_one_read_by_id(sent):
    lifecycle.claim([ID], worker="w", run_token="r", now=NOW, deadline_at=NOW)
    update, read = sent
    assert update.match == {
        "_id": {"$in": (ID,)},
        "status": "queued",
        "not_before": None,
        "$or": [{"deadline_at": None}, {"deadline_at": {"$gt": STORED_NOW}}],
    }
    assert update.whole[0]["$set"]["attempt"] == {"$add": ["$attempt", {"$literal": 1}]}
    assert read.whole == [{"$match": {"_id": {"$in": (ID,)}}}, columns(*lifecycle.ATTEMPT_COLUMNS)]
    assert all(("_id",) in indexes_for(each) for each in (update, read))


def test_a_move_matches_by_id_and_leaves_its_token(sent):
    move = lifecycle.complete(running(), Done({"ok": True}), NOW)
    lifecycle.apply([move])
    update, read_tokens = sent
    assert update.match == {"_id": ID, "status": {"$in": ("processing",)}, "attempt": 1}
    assert update.whole == {
        "$set": {
            "status": "complete",
            "outcome": "found",
            "result": '{"ok":true}',
            "finished_at": STORED_NOW,
            "deadline_at": None,
            "error_code": "",
            "error_message": "",
            "run_token": move.token,
        }
    }
    assert read_tokens.whole == [{"$match": {"_id": {"$in": (ID,)}}}, columns("run_token")]
    assert all(("_id",) in indexes_for(each) for each in (update, read_tokens))


def test_attempts_of_several_jobs_are_one_insert(sent):
    attempts = [lifecycle.complete(running(), Done({}), NOW).attempt for _ in range(3)]
    insert_each(attempts)
    [insert] = sent
    assert [document["_id"] for document in insert.whole] == [attempt.pk for attempt in attempts]


def test_a_job_is_accepted_in_one_round_trip(sent, redis_client):
    accept(Job.new(vendor="acme", name="John Doe", input={}))
    assert sent.round_trips == len(sent) == 1


@pytest.mark.parametrize("count", [1, 10, 100])
def test_claiming_and_recording_any_number_of_jobs_is_four_round_trips(count):
    jobs = [Job(id=f"{ID[:-3]}{number:03}", **RUNNING, started_at=NOW) for number in range(count)]
    moves = [lifecycle.complete(job, Done({}), NOW) for job in jobs]
    with recording(finds_all=True) as sent:
        ids = [job.pk for job in jobs]
        lifecycle.claim(ids, worker="w", run_token="r", now=NOW, deadline_at=NOW)
        assert lifecycle.apply(moves) == [True] * count
    assert sent.round_trips == 4


def test_a_job_is_found_by_its_id(sent, client):
    client.get(f"/jobs/{ID}")
    [read] = [each for each in sent if each.collection == "jobs_job"]
    assert read.whole == [
        {"$match": {"_id": ID, "client": "default"}},
        columns(*COLUMNS, "result", "queued_at", "stream"),
    ]
    assert ("_id",) in indexes_for(read)


def test_an_idempotency_key_is_found_by_a_partial_index(sent):
    assert idempotency.first_use("default", "k-1", "") is None
    [read] = sent
    assert read.match == {"client": "default", "idempotency_key": "k-1"}
    assert ("client", "idempotency_key") in indexes_for(read)


# The sweep.


@pytest.mark.parametrize(
    ("step", "match", "by", "index"),
    [
        (
            sweep.enqueue_due_jobs,
            {"status": "queued", "not_before": {"$lte": STORED_NOW}},
            "not_before",
            ("status", "not_before"),
        ),
        (
            sweep.take_over_overdue_calls,
            {"status": "processing", "deadline_at": {"$lt": STORED_NOW}},
            "deadline_at",
            ("status", "deadline_at"),
        ),
    ],
)
def test_due_jobs_are_found_in_the_order_of_an_index(sent, step, match, by, index):
    step()
    read = sent[0]
    assert read.whole[:3] == [{"$match": match}, {"$sort": {by: 1}}, {"$limit": 500}]
    assert index in indexes_for(read)


def test_expired_jobs_and_overdue_callbacks_are_found_by_one_query_with_an_index(sent):
    sweep.resolve_overdue_jobs()
    [read] = sent
    overdue = {"status": {"$in": ("queued", "waiting")}, "deadline_at": {"$lte": STORED_NOW}}
    overdue["next_poll_at"] = None
    assert read.whole[:2] == [{"$match": overdue}, {"$limit": 500}]
    assert ("status", "deadline_at") in indexes_for(read)


def test_lost_entries_are_found_in_the_order_of_an_index(sent):
    lost_entries._requeue("acme", Stream.RETRIES, lost_entries._StreamTimes(NOW, NOW, NOW, NOW))
    [read] = sent
    queued = {"status": "queued", "vendor": "acme", "stream": "retries", "not_before": None}
    assert read.whole[:3] == [
        {"$match": {**queued, "queued_at": {"$lt": STORED_NOW + lost_entries.LOSS_GRACE}}},
        {"$sort": {"queued_at": 1}},
        {"$limit": 500},
    ]
    assert ("status", "vendor", "stream", "queued_at") in indexes_for(read)


def test_callbacks_without_a_verdict_are_found_with_an_index(sent):
    sweep.apply_stored_callbacks()
    [read] = sent
    assert read.match == {"verdict": "", "received_at": {"$lte": STORED_NOW - sweep.CALLBACK_GRACE}}
    assert ("verdict", "received_at") in indexes_for(read)


def test_unreadable_callbacks_are_found_in_the_order_of_an_index(sent):
    UnreadableRetries().step(NOW)
    [read] = sent
    assert (read.match, read.sort) == ({"verdict": "unreadable"}, {"received_at": -1})
    assert ("verdict", "received_at") in indexes_for(read)


def test_a_callback_is_stored_applied_and_counted_with_indexes(sent, acme):
    acme.adapter = "async"
    receive.receive(acme, ID, AttemptRef(1, 1), webhook_id="", body=b"{}", now=NOW)
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
    counted = {"$in": ("", "late", "unreadable", "unmatched", "polled")}
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


def test_a_refused_callback_is_counted_with_indexes(sent):
    refusals.note("acme", ID, "token_wrong", body_bytes=1, now=NOW)
    refusals.hints([running()])
    job, hints = sent
    assert job.match == {"_id": ID, "vendor": "acme"}
    assert ("_id",) in indexes_for(job)
    assert ("job", "received_at") in indexes_for(hints)


def test_jobs_of_a_dead_worker_are_found_with_an_index(sent):
    takeover.take_from(
        list(Job.objects.filter(status=Status.PROCESSING, worker="w")[: takeover.CHUNK]),
        {},
        lifecycle.take_over,
    )
    [read] = sent
    assert read.match == {"status": "processing", "worker": "w"}
    assert ("status", "_id") in indexes_for(read)


def test_calls_for_the_limiters_rebuild_are_found_in_the_order_of_an_index(
    sent, acme, redis_client
):
    rows = Rows({"acme": acme})
    rows.starts(Selection(frozenset({"acme"})), NOW, 10, now_us=0)
    [read] = (read for read in sent if read.sort)
    assert read.sort == {"started_at": -1}
    assert ("vendor", "started_at") in indexes_for(read)


def test_a_query_without_an_index_is_detected(sent):
    list(Job.objects.filter(worker="w").order_by("-id"))
    list(Job.objects.filter(status="failed").order_by("finished_at"))
    list(Attempt.objects.filter(outcome="found"))
    assert [indexes_for(read) for read in sent] == [[], [], []]
