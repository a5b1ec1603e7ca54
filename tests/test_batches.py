"""Answers are recorded together but succeed or fail alone, also when the store refuses one of them
or its answer is lost.
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
from jobs.worker.claim import claim
from jobs.worker.held_entries import HeldEntries
from jobs.worker.record import Recorder
from jobs.worker.settle import settle
from vendors.base import Done

on_mongodb = pytest.mark.skipif(
    connection.vendor != "mongodb",
    reason="on SQLite a bulk write is one commit, whose answer is not lost",
)
MIB = 1024 * 1024
MAX_DOCUMENT = 16 * MIB


@pytest.fixture
def executions(transactional_db, redis_client, make_vendor, submit):
    """Three claimed jobs, in the order in which they were queued."""
    acme = make_vendor(max_in_flight=5)
    limiter.rebuild("acme", acme.windows, [], [])
    submit(3)
    return claim([take(acme, "w", 3)], "w", HeldEntries("w", Heartbeat("w")))


def record(executions, *results):
    for execution, result in zip(executions, results, strict=True):
        execution.answer = Done(result)
    Recorder().record(executions)
    settle(executions, HeldEntries("w", Heartbeat("w")))


def job_of(execution):
    return Job.objects.get(pk=execution.job.pk)


def statuses_of(executions):
    return [job_of(execution).status for execution in executions]


def results_of(executions):
    return [job_of(execution).result for execution in executions]


def outcomes():
    return sorted(Attempt.objects.values_list("outcome", flat=True))


def nothing_is_left(redis_client):
    keys = Keys("acme")
    entries = redis_client.xlen(keys.jobs), redis_client.xlen(keys.retries)
    return (*entries, redis_client.zcard(keys.in_flight)) == (0, 0, 0)


def test_other_jobs_are_recorded_when_one_was_taken_over(executions, redis_client):
    lifecycle.apply([lifecycle.take_over(executions[1].job, repeat=False, now=redis_clock.now())])
    record(executions, {"n": 0}, {"n": 1}, {"n": 2})
    assert results_of(executions) == [{"n": 0}, None, {"n": 2}]
    assert statuses_of(executions) == ["complete", "failed", "complete"]
    assert outcomes() == ["done", "done", "outcome_unknown"]
    assert nothing_is_left(redis_client)


@on_mongodb
@pytest.mark.parametrize(
    "length", [MAX_DOCUMENT - 300, MAX_DOCUMENT + MIB], ids=["as a row", "by itself"]
)
def test_a_result_too_large_for_a_document_fails_only_its_job(executions, redis_client, length):
    record(executions, {"n": 0}, {"text": "x" * length}, {"n": 2})
    assert statuses_of(executions) == ["complete", "failed", "complete"]
    failed = job_of(executions[1])
    assert failed.error_code == "not_storable"
    assert "could not be stored" in failed.error_message
    assert outcomes() == ["done", "done", "not_storable"]
    assert nothing_is_left(redis_client)


@contextmanager
def losing_the_answer(write):
    """The store does the first `write`, and its answer is lost."""
    do, left = getattr(Collection, write), [None]

    def do_without_answer(collection, *args, **options):
        answer = do(collection, *args, **options)
        if left:
            left.pop()
            raise AutoReconnect("connection closed")
        return answer

    with patch.object(Collection, write, do_without_answer), patch("jobs.worker.record.time.sleep"):
        yield


@on_mongodb
@pytest.mark.parametrize("write", ["bulk_write", "insert_many"])
def test_answers_are_recorded_once_when_the_stores_reply_is_lost(executions, redis_client, write):
    with losing_the_answer(write):
        record(executions, {"n": 0}, {"n": 1}, {"n": 2})
    assert results_of(executions) == [{"n": 0}, {"n": 1}, {"n": 2}]
    attempts = Attempt.objects.values_list("job", "outcome")
    assert sorted(attempts) == sorted((execution.job.pk, "done") for execution in executions)
    assert nothing_is_left(redis_client)


@on_mongodb
def test_a_move_that_is_applied_again_is_told_from_another_one(executions):
    job, now = executions[0].job, redis_clock.now()
    move, equal_move = (lifecycle.complete(job, {"n": 0}, now) for _ in range(2))
    assert lifecycle.apply([move]) == [True]
    assert lifecycle.apply([move, equal_move]) == [True, False]
