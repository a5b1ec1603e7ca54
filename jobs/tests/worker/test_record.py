"""The recorder gets on after any answer, even if the checks before it have missed something."""

from datetime import timedelta

import pytest
from django.db import connection

from jobs import lifecycle
from jobs.models import Attempt, Job, Stream
from jobs.queue.clock import redis_clock
from jobs.queue.stream import Entry
from jobs.worker.execution import Execution
from jobs.worker.record import Recorder
from vendors.base import Accepted, Done

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")


@pytest.fixture
def record(make_vendor, make_job):
    """Return a function that records answers together, and returns what became of their jobs."""
    vendor = make_vendor(definition={"poll": {}})

    def record(*answers, **fields):
        started = {"status": "processing", "attempt": 1, "started_at": redis_clock.now(), **fields}
        executions = []
        for answer in answers:
            job = make_job(**started)
            entry = Entry("acme", Stream.JOBS, "1-1", job.pk, "")
            executions.append(Execution(vendor, entry, job, charged_at=0.0, answer=answer))
        Recorder().record(executions)
        rows = {job.pk: job for job in Job.objects.all()}
        found = [rows[one.job.pk] for one in executions]
        return [(job.status, job.error_code) for job in found]

    return record


@pytest.mark.parametrize(
    "answer",
    [
        Done({"a": 1}, cost=10**400),
        Done({"a": 1}, confidence="high"),
        Accepted("\ud800"),
        Accepted("work", cost=10**400),
        Accepted("work", retry_after=timedelta.max),
    ],
)
def test_an_answer_that_the_store_refuses_concerns_its_job_alone(record, answer):
    first, refused, last = record(Done({"a": 1}), answer, Done({"a": 1}))
    assert (first, last) == (("complete", ""), ("complete", ""))
    # Without a transaction, the job may have been written before its attempt was refused.
    is_alone = connection.vendor == "sqlite"
    assert refused == ("failed", "not_storable") if is_alone else refused[0] != "processing"
    assert Attempt.objects.count() == 3


@pytest.mark.sqlite
def test_a_job_whose_end_is_refused_is_left_to_be_taken_over(record, monkeypatch):
    end = lifecycle.not_storable

    def refused(move, *of):
        move = end(move, *of)
        move.attempt.cost = 10**400
        return move

    monkeypatch.setattr(lifecycle, "not_storable", refused)
    bad = Done({"a": 1}, cost=10**400)
    assert record(bad, Done({"a": 1})) == [("processing", ""), ("complete", "")]


@pytest.mark.sqlite
def test_an_attempt_that_came_too_late_and_is_refused_is_left_out(record):
    late = Done({"a": 1}, cost=10**400)
    assert record(late, status="cancelled") == [("cancelled", "")]
    assert not Attempt.objects.exists()
