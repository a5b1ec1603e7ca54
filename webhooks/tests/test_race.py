"""Callbacks at the same moment, each in a thread with a connection of its own, in commits of their
own or in one.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection, transaction

from harness.waiting import wait_for
from jobs.callbacks import inbox
from jobs.models import Callback, Job, Verdict

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY = object()


@pytest.fixture
def jobs(make_vendor, make_job):
    make_vendor(adapter="async")
    return [make_job(status="waiting", attempt=1) for _ in range(3)]


@pytest.fixture
def receive(post):
    """Post callbacks at once and return what each was answered; `meanwhile` is called when they are
    on their way.
    """

    def receive(callbacks, meanwhile=lambda: None):
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

    return receive


@pytest.fixture
def receive_in_one_commit(receive, monkeypatch):
    """The same, where all are stored in one commit, and then applied in one."""

    def receive_in_one_commit(callbacks):
        commits = []
        groups = inbox._storing, inbox._applying
        for group in groups:
            write = group._write
            monkeypatch.setattr(
                group,
                "_write",
                lambda items, write=write: commits.append(len(items)) or write(items),
            )
            group._leader = NOBODY

        def let_go():
            for group in groups:
                wait_for(
                    lambda group=group: len(group._waiting) == len(callbacks),
                    "all to wait for a commit",
                )
                with group._lock:
                    group._pass_on()

        answers = receive(callbacks, let_go)
        assert commits == [len(callbacks)] * 2
        return answers

    return receive_in_one_commit


@pytest.fixture(params=["receive", "receive_in_one_commit"])
def race(request):
    return request.getfixturevalue(request.param)


def test_of_two_racing_callbacks_exactly_one_is_applied(race, jobs):
    job = jobs[0]
    assert race([(job, b'{"name": "John"}'), (job, b'{"name": "Jane"}')]) == ["applied", "late"]
    assert Callback.objects.get(verdict=Verdict.APPLIED).body == Job.objects.get(pk=job.pk).result


def test_a_callback_sent_several_times_at_once_is_stored_once_and_applied_once(race, jobs):
    job = jobs[0]
    assert race([(job, b'{"name": "John"}')] * 4) == ["applied"] * 4
    callback = Callback.objects.get()
    assert (callback.verdict, callback.times_received) == (Verdict.APPLIED, 4)
    assert Job.objects.get(pk=job.pk).status == "complete"


def test_callbacks_of_several_jobs_end_each_its_own(race, jobs):
    assert race([(job, f'{{"name": "{job.pk}"}}'.encode()) for job in jobs]) == ["applied"] * 3
    for job in jobs:
        assert Job.objects.get(pk=job.pk).result == {"name": job.pk}
        assert (
            Callback.objects.get(job=job.pk).verdict,
            Callback.objects.get(job=job.pk).times_received,
        ) == ("applied", 1)


@pytest.mark.sqlite
def test_whoever_is_in_a_transaction_waits_for_nobody_else_to_commit(jobs, monkeypatch, post):
    for group in (inbox._storing, inbox._applying):
        monkeypatch.setattr(group, "_leader", NOBODY)
    with transaction.atomic():
        assert post(jobs[0]).json() == {"status": "applied"}
