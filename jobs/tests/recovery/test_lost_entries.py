"""Lost entries are found and requeued, and no others."""

from datetime import UTC, datetime, timedelta

import pytest

from harness.limits import restore_own
from jobs.models import Job, Stream
from jobs.queue import stream
from jobs.queue.keys import Keys
from jobs.queue.take import take
from jobs.recovery import lost_entries, pending

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")

SECOND = timedelta(seconds=1)
KEYS = Keys("acme")


@pytest.fixture
def acme(make_vendor):
    """A vendor whose streams were checked while its queue was empty."""
    vendor = make_vendor()
    restore_own("acme", [], [], [])
    lost_entries.requeue("acme")
    return vendor


def at(seconds):
    """Return the time that many seconds from now."""
    return datetime.now(UTC) + seconds * SECOND


LONG_AGO = at(-3600)


def entries(redis_client, name="jobs"):
    return [fields["job"] for _, fields in redis_client.xrange(getattr(KEYS, name))]


def add_at(redis_client, job_id, moment):
    redis_client.xadd(
        KEYS.jobs, {"v": "1", "job": job_id}, id=f"{int(moment.timestamp() * 1000)}-*"
    )


def requeue(times=1):
    return [lost_entries.requeue("acme") for _ in range(times)]


def test_a_lost_entry_is_added_again_once(make_job, redis_client, acme):
    job = make_job(queued_at=LONG_AGO)
    assert requeue(2) == [1, 0]
    assert entries(redis_client) == [job.pk]


def test_a_lost_retry_is_added_to_the_retries_stream(make_job, redis_client, acme):
    job = make_job(queued_at=LONG_AGO, stream=Stream.RETRIES, attempt=1)
    assert requeue() == [1]
    assert entries(redis_client, "retries") == [job.pk]


def test_a_backlog_is_not_touched(make_job, redis_client, acme):
    add_at(redis_client, make_job(queued_at=LONG_AGO).pk, LONG_AGO)
    make_job(queued_at=LONG_AGO + timedelta(minutes=1))  # its entry may be behind the first
    assert requeue() == [0]


@pytest.mark.parametrize("skew", [-30, -1, 0, 29])
def test_a_flush_requeues_all_jobs_at_once_with_any_clock_skew(make_job, redis_client, acme, skew):
    """The last ones too, which would otherwise wait for the whole backlog before them."""
    before, last = make_job(queued_at=LONG_AGO), make_job(queued_at=at(skew))
    redis_client.flushall()
    assert requeue(2) == [2, 0]
    assert entries(redis_client) == [before.pk, last.pk]


def test_jobs_queued_after_a_flush_do_not_hide_those_from_before(make_job, redis_client, acme):
    before = make_job(queued_at=at(-1))
    redis_client.flushall()
    after = make_job(queued_at=at(60))
    stream.offer("acme", [after.pk])
    assert requeue(2) == [1, 0]
    assert entries(redis_client) == [after.pk, before.pk]


def test_a_job_queued_just_after_a_flush_gets_at_most_one_extra_entry(make_job, redis_client, acme):
    make_job(queued_at=LONG_AGO)
    redis_client.flushall()
    after = make_job()
    stream.offer("acme", [after.pk])
    assert requeue(2) == [2, 0]
    assert entries(redis_client).count(after.pk) == 2


@pytest.mark.parametrize("skew", [-30, 0, 30])
def test_the_sweepers_own_clock_does_not_matter(make_job, redis_client, acme, monkeypatch, skew):
    class Skewed(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + skew * SECOND

    monkeypatch.setattr(lost_entries, "datetime", Skewed)
    make_job(queued_at=LONG_AGO)
    assert requeue(3) == [1, 0, 0]
    assert abs(Job.objects.get().queued_at - datetime.now(UTC)) < 20 * SECOND


def test_a_clock_that_is_behind_costs_one_extra_entry_only(make_job, redis_client, acme):
    add_at(redis_client, "other", at(-10))
    job = make_job(queued_at=at(-30))
    stream.offer("acme", [job.pk])
    assert requeue(3) == [1, 0, 0]


def test_the_first_check_of_a_backlog_requeues_nothing(make_vendor, make_job, redis_client):
    """Jobs were accepted before the first worker started: no group, and no earlier check."""
    make_vendor()
    for second in range(3):
        job = make_job(queued_at=LONG_AGO + second * SECOND)
        add_at(redis_client, job.pk, job.queued_at)
    assert requeue(2) == [0, 0]


def test_a_backlog_without_a_consumer_group_is_not_touched(make_vendor, make_job, redis_client):
    """The vendor is new and paused, so no worker has created the group."""
    make_vendor(paused=True)
    lost_entries.requeue("acme")
    job = make_job(queued_at=LONG_AGO)
    add_at(redis_client, job.pk, LONG_AGO)
    assert requeue() == [0]


def test_a_job_taken_just_now_is_not_lost(make_job, redis_client, acme):
    stream.offer("acme", [make_job(queued_at=LONG_AGO).pk])
    take(acme, "w", 1)
    assert requeue() == [0]


def test_a_job_requeued_long_ago_is_not_lost(make_job, redis_client, acme):
    """It waits at the front of a paused vendor, with newer jobs behind it."""
    job = make_job(queued_at=LONG_AGO)
    add_at(redis_client, job.pk, LONG_AGO)
    take(acme, "w", 1)
    add_at(redis_client, make_job().pk, at(0))
    assert pending.requeue("acme", "w", held=()) == 1
    assert entries(redis_client, "retries") == [job.pk]
    assert requeue() == [0]


def test_a_job_scheduled_for_later_is_not_lost(make_job, redis_client, acme):
    make_job(queued_at=LONG_AGO, not_before=at(3600))
    assert requeue() == [0]


def test_at_most_a_batch_is_requeued_at_a_time(make_job, redis_client, acme, monkeypatch):
    monkeypatch.setattr(lost_entries, "CHUNK", 2)
    jobs = [make_job(queued_at=LONG_AGO + second * SECOND) for second in range(5)]
    assert requeue(4) == [2, 2, 1, 0]
    assert entries(redis_client) == [job.pk for job in jobs]


def test_a_crash_between_entry_and_row_loses_no_job(make_job, redis_client, acme, monkeypatch):
    job = make_job(queued_at=LONG_AGO)
    for module, name in ((stream, "add"), (lost_entries.lifecycle, "requeue_lost")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                requeue()
    assert requeue(2) == [1, 0]
    assert set(entries(redis_client)) == {job.pk}
