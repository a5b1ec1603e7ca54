"""Who has lost his entry, and that nobody else is taken for lost."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import Job, Stream
from jobs.queue import limiter, stream
from jobs.queue.keys import Keys
from jobs.queue.take import take
from jobs.recovery import lost_entries, pending

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")

SECOND = timedelta(seconds=1)
KEYS = Keys("acme")


@pytest.fixture
def acme(make_vendor):
    """A vendor whose streams were looked at when nothing was queued."""
    vendor = make_vendor()
    limiter.rebuild("acme", [], [], [])
    lost_entries.requeue("acme")
    return vendor


def at(seconds):
    """The moment so many seconds from now."""
    return datetime.now(UTC) + seconds * SECOND


LONG_AGO = at(-3600)


def entries(redis_client, name="jobs"):
    return [fields["job"] for _, fields in redis_client.xrange(getattr(KEYS, name))]


def add_at(redis_client, job_id, moment):
    redis_client.xadd(
        KEYS.jobs, {"v": "1", "job": job_id}, id=f"{int(moment.timestamp() * 1000)}-*"
    )


def put_back(times=1):
    return [lost_entries.requeue("acme") for _ in range(times)]


def test_a_queued_job_that_redis_lost_is_added_again_once(make_job, redis_client, acme):
    job = make_job(queued_at=LONG_AGO)
    assert put_back(2) == [1, 0]
    assert entries(redis_client) == [job.pk]


def test_a_lost_retry_goes_back_to_the_front(make_job, redis_client, acme):
    job = make_job(queued_at=LONG_AGO, stream=Stream.RETRIES, attempt=1)
    assert put_back() == [1]
    assert entries(redis_client, "retries") == [job.pk]


def test_a_backlog_is_not_touched(make_job, redis_client, acme):
    add_at(redis_client, make_job(queued_at=LONG_AGO).pk, LONG_AGO)
    make_job(queued_at=LONG_AGO + timedelta(minutes=1))  # its entry may well be behind the first
    assert put_back() == [0]


@pytest.mark.parametrize("skew", [-30, -1, 0, 29])
def test_after_a_flush_all_are_back_at_once_whatever_the_clock_that_queued_them(
    make_job, redis_client, acme, skew
):
    """Also the last ones, that else would wait until the whole backlog before them is done."""
    before, last = make_job(queued_at=LONG_AGO), make_job(queued_at=at(skew))
    redis_client.flushall()
    assert put_back(2) == [2, 0]
    assert entries(redis_client) == [before.pk, last.pk]


def test_jobs_that_come_after_a_flush_do_not_hide_those_before_it(make_job, redis_client, acme):
    before = make_job(queued_at=at(-1))
    redis_client.flushall()
    after = make_job(queued_at=at(60))
    stream.offer("acme", [after.pk])
    assert put_back(2) == [1, 0]
    assert entries(redis_client) == [after.pk, before.pk]


def test_who_came_just_after_a_flush_gets_one_more_entry_at_the_most(make_job, redis_client, acme):
    make_job(queued_at=LONG_AGO)
    redis_client.flushall()
    after = make_job()
    stream.offer("acme", [after.pk])
    assert put_back(2) == [2, 0]
    assert entries(redis_client).count(after.pk) == 2


@pytest.mark.parametrize("skew", [-30, 0, 30])
def test_the_clock_of_the_sweeper_does_not_matter(make_job, redis_client, acme, monkeypatch, skew):
    class Skewed(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + skew * SECOND

    monkeypatch.setattr(lost_entries, "datetime", Skewed)
    make_job(queued_at=LONG_AGO)
    assert put_back(3) == [1, 0, 0]
    assert abs(Job.objects.get().queued_at - datetime.now(UTC)) < 20 * SECOND


def test_a_clock_that_is_behind_costs_one_more_entry_and_no_more(make_job, redis_client, acme):
    add_at(redis_client, "somebody", at(-10))
    job = make_job(queued_at=at(-30))
    stream.offer("acme", [job.pk])
    assert put_back(3) == [1, 0, 0]


def test_the_first_look_at_a_backlog_touches_nothing(make_vendor, make_job, redis_client):
    """Jobs were accepted before any worker was started: nobody has made the group, and nobody has
    looked.
    """
    make_vendor()
    for second in range(3):
        job = make_job(queued_at=LONG_AGO + second * SECOND)
        add_at(redis_client, job.pk, job.queued_at)
    assert put_back(2) == [0, 0]


def test_a_backlog_that_no_worker_has_asked_for_is_not_touched(make_vendor, make_job, redis_client):
    """Its vendor is new and paused, so that nobody has made the group."""
    make_vendor(paused=True)
    lost_entries.requeue("acme")
    job = make_job(queued_at=LONG_AGO)
    add_at(redis_client, job.pk, LONG_AGO)
    assert put_back() == [0]


def test_a_job_that_was_taken_a_moment_ago_has_not_lost_its_entry(make_job, redis_client, acme):
    stream.offer("acme", [make_job(queued_at=LONG_AGO).pk])
    take(acme, "w", 1)
    assert put_back() == [0]


def test_a_job_that_was_handed_back_long_ago_has_not_lost_its_entry(make_job, redis_client, acme):
    """It waits at the front, with its vendor paused; behind it waits who came after it."""
    job = make_job(queued_at=LONG_AGO)
    add_at(redis_client, job.pk, LONG_AGO)
    take(acme, "w", 1)
    add_at(redis_client, make_job().pk, at(0))
    assert pending.requeue("acme", "w", held=()) == 1
    assert entries(redis_client, "retries") == [job.pk]
    assert put_back() == [0]


def test_a_job_held_back_until_later_is_not_lost(make_job, redis_client, acme):
    make_job(queued_at=LONG_AGO, not_before=at(3600))
    assert put_back() == [0]


def test_no_more_than_a_batch_is_put_back_at_a_time(make_job, redis_client, acme, monkeypatch):
    monkeypatch.setattr(lost_entries, "BATCH", 2)
    jobs = [make_job(queued_at=LONG_AGO + second * SECOND) for second in range(5)]
    assert put_back(4) == [2, 2, 1, 0]
    assert entries(redis_client) == [job.pk for job in jobs]


def test_a_sweeper_that_dies_between_entry_and_row_has_lost_nobody(
    make_job, redis_client, acme, monkeypatch
):
    job = make_job(queued_at=LONG_AGO)
    for module, name in ((stream, "add"), (lost_entries.lifecycle, "requeue_lost")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                put_back()
    assert put_back(2) == [1, 0]
    assert set(entries(redis_client)) == {job.pk}
