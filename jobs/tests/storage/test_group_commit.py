"""Requests that arrive together share a commit, and each thread gets the outcome of its own."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import DatabaseError, OperationalError, connection

from harness.waiting import wait_for
from jobs.models import Job
from jobs.storage import bulk_writes, group_commit, store
from jobs.storage.group_commit import GroupCommit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]


def insert(jobs):
    return bulk_writes.insert_each(jobs)


def job():
    return Job.new(vendor="acme", name="John Doe", input={})


@pytest.fixture
def slow_store(monkeypatch):
    """A store whose first commit waits until this event is set; `commits` has the size of each."""
    go_on, real, commits = Event(), bulk_writes.insert_each, []

    def insert_each(rows):
        commits.append(len(rows))
        go_on.wait(20)
        return real(rows)

    monkeypatch.setattr(bulk_writes, "insert_each", insert_each)
    go_on.commits = commits
    return go_on


def commit_in_threads(jobs, number, store):
    """Commit one job, then the others while its commit waits."""

    def run():
        try:
            jobs.commit(job())
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as threads:
        first = threads.submit(run)
        wait_for(lambda: store.commits, "the first commit")
        others = [threads.submit(run) for _ in range(number - 1)]
        wait_for(lambda: len(jobs._waiting) == number - 1, "the others to wait")
        store.set()
    return [first, *others]


def test_requests_that_arrive_during_a_commit_share_the_next(slow_store):
    answers = commit_in_threads(GroupCommit(insert), 10, slow_store)
    assert [answer.exception() for answer in answers] == [None] * 10
    assert (Job.objects.count(), slow_store.commits) == (10, [1, 9])


def test_a_commit_succeeds_after_one_that_failed(slow_store, monkeypatch):
    def locked(rows):
        raise OperationalError("locked")

    jobs = GroupCommit(insert)
    slow_store.set()
    with monkeypatch.context() as patch:
        patch.setattr(bulk_writes, "insert_each", locked)
        with pytest.raises(OperationalError):
            jobs.commit(job())
    jobs.commit(job())
    assert Job.objects.count() == 1


def test_an_item_that_cannot_be_written_fails_alone(slow_store):
    jobs = GroupCommit(insert)
    not_json = {1, 2}
    unwritable = group_commit._Request(Job.new(vendor="acme", name="John Doe", input=not_json))
    jobs._waiting.append(unwritable)
    slow_store.set()
    jobs.commit(job())
    assert isinstance(unwritable.error, TypeError)
    assert Job.objects.count() == 1


def test_a_store_that_is_away_is_tried_once_for_all_waiting_requests(slow_store, monkeypatch):
    tried = []

    def away(jobs):
        tried.append(len(jobs))
        raise DatabaseError("away")

    monkeypatch.setattr(bulk_writes, "insert_each", away)
    jobs = GroupCommit(insert)
    jobs._waiting.append(group_commit._Request(job()))
    with pytest.raises(DatabaseError):
        jobs.commit(job())
    assert tried == [2]


def with_patience(jobs, seconds):
    """Return a function for a thread that commits a job with this much patience."""

    def run():
        try:
            with store.patience(seconds):
                jobs.commit(job())
        finally:
            connection.close()

    return run


def test_a_request_behind_a_stuck_commit_gives_up_by_its_own_patience_and_is_not_stored(slow_store):
    jobs = GroupCommit(insert)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(with_patience(jobs, 20))
        wait_for(lambda: slow_store.commits, "the first commit")
        impatient = threads.submit(with_patience(jobs, 0.1))
        assert isinstance(impatient.exception(10), OperationalError)
        slow_store.set()
        assert first.exception(10) is None
    jobs.commit(job())
    assert Job.objects.count() == 2


def test_a_leader_that_gives_up_passes_the_lead_on(slow_store):
    jobs = GroupCommit(insert)
    leader, follower = group_commit._Request(job()), group_commit._Request(job())
    jobs._waiting.extend([leader, follower])
    jobs._leader = leader
    with pytest.raises(OperationalError):
        jobs._give_up(leader)
    assert follower.wake.is_set()
    assert not leader.is_done


def test_a_request_fails_when_its_commit_cannot_begin(slow_store, monkeypatch):
    jobs = GroupCommit(insert)
    with monkeypatch.context() as patch:
        patch.setattr(group_commit, "writing", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            jobs.commit(job())
    slow_store.set()
    jobs.commit(job())
    assert Job.objects.count() == 1


def test_a_leader_that_gives_up_behind_a_locked_store_fails_no_other(slow_store, monkeypatch):
    jobs = GroupCommit(insert)
    follower = group_commit._Request(job())
    jobs._waiting.append(follower)

    def locked():
        raise OperationalError("locked")

    monkeypatch.setattr(group_commit, "writing", locked)
    with pytest.raises(OperationalError):
        jobs.commit(job())
    assert follower.wake.is_set()
    assert not follower.is_done


def test_a_thread_that_is_ended_during_its_commit_leaves_no_other_waiting(slow_store, monkeypatch):
    jobs = GroupCommit(insert)
    follower = group_commit._Request(job())
    jobs._waiting.append(follower)

    def ended(jobs):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(bulk_writes, "insert_each", ended)
        with pytest.raises(SystemExit):
            jobs.commit(job())
    assert follower.wake.is_set()
    assert isinstance(follower.error, OperationalError)
    slow_store.set()
    jobs.commit(job())
