"""Answers are recorded in batches, but each for itself: one that the store refuses, or takes
unheard, spoils no other.
"""

from contextlib import contextmanager
from unittest.mock import patch

import pytest
from django.db import connection
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect

from jobs import lifecycle
from jobs.models import Attempt, Job
from jobs.queue import limiter
from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.keys import Keys
from jobs.queue.take import take
from jobs.worker.claim import Starter
from jobs.worker.execute import Ended
from jobs.worker.held_entries import Hands
from jobs.worker.record import Recorder
from vendors.base import Done

on_mongodb = pytest.mark.skipif(
    connection.vendor != "mongodb",
    reason="on SQLite a batch is one commit, whose answer is not lost",
)
MIB = 1024 * 1024
LARGEST_DOCUMENT = 16 * MIB


@pytest.fixture
def started(transactional_db, redis_client, make_vendor, submit):
    """Three jobs that a worker has started, in the order in which they were queued."""
    acme = make_vendor(max_in_flight=5)
    limiter.rebuild("acme", acme.windows, [], [])
    submit(3)
    return Starter("w", Hands("w", Heartbeat("w"))).start([take(acme, "w", 3)])


def record(started, *results):
    ended = [Ended(one, Done(result)) for one, result in zip(started, results, strict=True)]
    Recorder(Hands("w", Heartbeat("w")).settle).record(ended)


def job_of(one):
    return Job.objects.get(pk=one.job.pk)


def nothing_is_left(redis_client):
    keys = Keys("acme")
    return [
        redis_client.xlen(keys.jobs),
        redis_client.xlen(keys.retries),
        redis_client.zcard(keys.in_flight),
    ] == [0, 0, 0]


def test_a_job_that_moved_on_meanwhile_keeps_no_other_from_its_result(started, redis_client):
    lifecycle.apply([lifecycle.take_over(started[1].job, repeat=False, now=redis_clock.now())])
    record(started, {"n": 0}, {"n": 1}, {"n": 2})
    assert [job_of(one).result for one in started] == [{"n": 0}, None, {"n": 2}]
    assert [job_of(one).status for one in started] == ["complete", "failed", "complete"]
    assert sorted(Attempt.objects.values_list("outcome", flat=True)) == [
        "done",
        "done",
        "outcome_unknown",
    ]
    assert nothing_is_left(redis_client)


@on_mongodb
@pytest.mark.parametrize(
    "length", [LARGEST_DOCUMENT - 300, LARGEST_DOCUMENT + MIB], ids=["as a row", "by itself"]
)
def test_a_result_too_large_for_a_document_fails_its_job_and_no_other(
    started, redis_client, length
):
    record(started, {"n": 0}, {"text": "x" * length}, {"n": 2})
    assert [job_of(one).status for one in started] == ["complete", "failed", "complete"]
    failed = job_of(started[1])
    assert failed.error_code == "not_storable"
    assert "could not be stored" in failed.error_message
    assert sorted(Attempt.objects.values_list("outcome", flat=True)) == [
        "done",
        "done",
        "not_storable",
    ]
    assert nothing_is_left(redis_client)


@contextmanager
def unheard(write):
    """The store does what it is asked first by `write`, and its answer is lost."""
    do, left = getattr(Collection, write), [None]

    def do_unheard(collection, *args, **options):
        answer = do(collection, *args, **options)
        if left:
            left.pop()
            raise AutoReconnect("connection closed")
        return answer

    with patch.object(Collection, write, do_unheard), patch("jobs.worker.record.time.sleep"):
        yield


@on_mongodb
@pytest.mark.parametrize("write", ["bulk_write", "insert_many"])
def test_a_batch_whose_answer_was_lost_is_recorded_once(started, redis_client, write):
    with unheard(write):
        record(started, {"n": 0}, {"n": 1}, {"n": 2})
    assert [job_of(one).result for one in started] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert sorted(Attempt.objects.values_list("job", "outcome")) == sorted(
        (one.job.pk, "done") for one in started
    )
    assert nothing_is_left(redis_client)


@on_mongodb
def test_what_was_taken_unheard_is_not_taken_for_what_somebody_else_did(started):
    move, same_again = (
        lifecycle.complete(started[0].job, {"n": 0}, redis_clock.now()) for _ in range(2)
    )
    assert lifecycle.apply([move]) == [True]
    assert lifecycle.apply([move, same_again]) == [True, False]
