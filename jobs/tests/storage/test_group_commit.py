"""What comes in together shares a commit, and each thread knows what became of its own."""

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
    """A store whose first commit waits until it is told to go on; it counts commits."""
    go_on, real, commits = Event(), bulk_writes.insert_each, []

    def insert_each(rows):
        commits.append(len(rows))
        go_on.wait(20)
        return real(rows)

    monkeypatch.setattr(bulk_writes, "insert_each", insert_each)
    go_on.commits = commits
    return go_on


def committed_by_threads(jobs, number, store):
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


def test_what_comes_in_during_a_commit_shares_the_next(slow_store):
    answers = committed_by_threads(GroupCommit(insert), 10, slow_store)
    assert [answer.exception() for answer in answers] == [None] * 10
    assert (Job.objects.count(), slow_store.commits) == (10, [1, 9])


def test_a_store_that_is_away_refuses_all_that_wait_for_it_and_then_takes_the_next(
    slow_store, monkeypatch
):
    jobs = GroupCommit(insert)
    slow_store.set()
    with monkeypatch.context() as patch:
        patch.setattr(
            bulk_writes,
            "insert_each",
            lambda jobs: (_ for _ in ()).throw(OperationalError("locked")),
        )
        with pytest.raises(OperationalError):
            jobs.commit(job())
    jobs.commit(job())
    assert Job.objects.count() == 1


def test_what_cannot_be_written_is_refused_alone(slow_store):
    jobs = GroupCommit(insert)
    unwritable = group_commit._Request(
        Job.new(vendor="acme", name="John Doe", input={1, 2})
    )  # no JSON
    jobs._waiting.append(unwritable)
    slow_store.set()
    jobs.commit(job())
    assert isinstance(unwritable.error, TypeError)
    assert Job.objects.count() == 1


def test_a_store_that_is_away_is_asked_once_for_all_that_wait(slow_store, monkeypatch):
    asked = []

    def away(jobs):
        asked.append(len(jobs))
        raise DatabaseError("away")

    monkeypatch.setattr(bulk_writes, "insert_each", away)
    jobs = GroupCommit(insert)
    jobs._waiting.append(group_commit._Request(job()))
    with pytest.raises(DatabaseError):
        jobs.commit(job())
    assert asked == [2]


def with_patience(jobs, seconds):
    """Return what commits a job with so much patience, in a thread of its own."""

    def run():
        try:
            with store.patience(seconds):
                jobs.commit(job())
        finally:
            connection.close()

    return run


def test_whoever_waits_behind_a_stuck_commit_gives_up_in_its_own_time_and_is_not_stored(slow_store):
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


def test_the_one_who_is_to_lead_and_gives_up_leaves_the_lead_to_the_next(slow_store):
    jobs = GroupCommit(insert)
    leader, following = group_commit._Request(job()), group_commit._Request(job())
    jobs._waiting.extend([leader, following])
    jobs._leader = leader
    with pytest.raises(OperationalError):
        jobs._withdraw(leader)
    assert following.turn.is_set()
    assert not leader.is_done


def test_nothing_is_called_committed_when_its_commit_could_not_even_begin(slow_store, monkeypatch):
    jobs = GroupCommit(insert)
    with monkeypatch.context() as patch:
        patch.setattr(group_commit, "writing", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            jobs.commit(job())
    slow_store.set()
    jobs.commit(job())
    assert Job.objects.count() == 1


def test_a_leader_that_gives_up_behind_a_locked_store_refuses_nobody_else(slow_store, monkeypatch):
    jobs = GroupCommit(insert)
    follower = group_commit._Request(job())
    jobs._waiting.append(follower)

    def locked():
        raise OperationalError("locked")

    monkeypatch.setattr(group_commit, "writing", locked)
    with pytest.raises(OperationalError):
        jobs.commit(job())
    assert follower.turn.is_set()
    assert not follower.is_done


def test_a_thread_that_is_ended_in_its_commit_leaves_nobody_waiting(slow_store, monkeypatch):
    jobs = GroupCommit(insert)
    follower = group_commit._Request(job())
    jobs._waiting.append(follower)

    def ended(jobs):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(bulk_writes, "insert_each", ended)
        with pytest.raises(SystemExit):
            jobs.commit(job())
    assert follower.turn.is_set()
    assert isinstance(follower.error, OperationalError)
    slow_store.set()
    jobs.commit(job())
