"""Callbacks that arrive at once, each in a thread with its own connection: in separate commits, and
in a shared one.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection, transaction

from harness.waiting import wait_for
from jobs.callbacks.apply import _applying
from jobs.callbacks.receive import _storing
from jobs.models import Callback, Job, Verdict

pytestmark = pytest.mark.django_db(transaction=True)

GROUPS = (_storing, _applying)
ANOTHER_LEADER = object()


@pytest.fixture
def jobs(make_vendor, make_job):
    make_vendor(adapter="async")
    return [make_job(status="waiting", attempt=1) for _ in range(3)]


@pytest.fixture
def separately(post):
    """Post callbacks at once and return their sorted answers; `meanwhile` is called after they are
    sent.
    """

    def separately(callbacks, meanwhile=lambda: None):
        barrier = Barrier(len(callbacks))

        def send(job, body):
            barrier.wait()
            try:
                return post(job, body=body).json()["status"]
            finally:
                connection.close()

        with ThreadPoolExecutor(len(callbacks)) as threads:
            answers = [threads.submit(send, *callback) for callback in callbacks]
            meanwhile()
        return sorted(answer.result() for answer in answers)

    return separately


@pytest.fixture
def in_one_commit(separately, monkeypatch):
    """Like `separately`, but all are stored in one commit, and then applied in one."""

    def in_one_commit(callbacks):
        commits = []
        for group in GROUPS:
            count_commits(group, commits, monkeypatch)
            group._leader = ANOTHER_LEADER

        def commit_together():
            for group in GROUPS:
                wait_for(
                    lambda group=group: len(group._waiting) == len(callbacks),
                    "all to wait for a commit",
                )
                with group._lock:
                    group._choose_leader()

        answers = separately(callbacks, commit_together)
        assert commits == [len(callbacks)] * 2
        return answers

    return in_one_commit


def count_commits(group, commits, monkeypatch):
    write = group._write

    def counted(items):
        commits.append(len(items))
        return write(items)

    monkeypatch.setattr(group, "_write", counted)


@pytest.fixture(params=["separately", "in_one_commit"])
def race(request):
    return request.getfixturevalue(request.param)


def test_exactly_one_of_two_racing_callbacks_is_applied(race, jobs):
    job = jobs[0]
    assert race([(job, b'{"name": "John"}'), (job, b'{"name": "Jane"}')]) == ["applied", "late"]
    assert Callback.objects.get(verdict=Verdict.APPLIED).body == Job.objects.get(pk=job.pk).result


def test_a_callback_sent_several_times_at_once_is_stored_and_applied_once(race, jobs):
    job = jobs[0]
    assert race([(job, b'{"name": "John"}')] * 4) == ["applied"] * 4
    callback = Callback.objects.get()
    assert (callback.verdict, callback.times_received) == (Verdict.APPLIED, 4)
    assert Job.objects.get(pk=job.pk).status == "complete"


def test_each_callback_ends_its_own_job_when_several_arrive_at_once(race, jobs):
    assert race([(job, f'{{"name": "{job.pk}"}}'.encode()) for job in jobs]) == ["applied"] * 3
    for job in jobs:
        assert Job.objects.get(pk=job.pk).result == {"name": job.pk}
        callback = Callback.objects.get(job=job.pk)
        assert (callback.verdict, callback.times_received) == ("applied", 1)


@pytest.mark.sqlite
def test_a_thread_in_a_transaction_does_not_wait_for_a_leader(jobs, monkeypatch, post):
    for group in GROUPS:
        monkeypatch.setattr(group, "_leader", ANOTHER_LEADER)
    with transaction.atomic():
        assert post(jobs[0]).json() == {"status": "applied"}
