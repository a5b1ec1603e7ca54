"""Whatever ends a job or a batch wakes those who wait for it."""

from datetime import timedelta
from unittest.mock import patch

import pytest

from harness.limits import restore_own
from harness.waiting import wait_for
from jobs import batches, lifecycle, operator_actions
from jobs.callbacks import apply
from jobs.models import FINAL, Batch, Callback, Job, Status, Verdict
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.keys import ENDED, Keys
from jobs.queue.stream import Settlement, settle
from jobs.queue.take import take
from jobs.queue.waiting import waiters
from jobs.recovery import pending, sweep, takeover
from jobs.recovery.overdue import resolve_overdue_jobs
from jobs.storage import bulk_writes
from jobs.worker.claim import claim
from jobs.worker.held_entries import HeldEntries
from jobs.worker.record import Recorder
from jobs.worker.settle import settle as settle_executions
from vendors.base import Accepted, Done, VendorError

# About Redis, whatever the store.
pytestmark = [pytest.mark.usefixtures("transactional_db"), pytest.mark.sqlite]

PAST = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def acme(make_vendor, redis_client):
    restore_own("acme", [], [], [])
    return make_vendor(adapter="async", repeat_unknown=False, repeat_overdue=False)


def past():
    return redis_clock.now() - PAST


def execute(acme, answer):
    """Do the steps of a worker for the queued jobs, with this answer."""
    held = HeldEntries("w", Heartbeat("w"))
    executions = claim([take(acme, "w", 10)], "w", held)
    for execution in executions:
        execution.answer = answer
    Recorder().record(executions)
    settle_executions(executions, held)


def be_refused_by_the_store(acme):
    """The store refuses a move that would not have ended the job."""
    update = bulk_writes.update_each

    def refuse(updates):
        if updates[0].changes["status"] == Status.WAITING:
            raise ValueError
        return update(updates)

    with patch.object(bulk_writes, "update_each", refuse):
        execute(acme, Accepted())
    assert Job.objects.get().error_code == "not_storable"


def claimed(acme):
    [execution] = claim([take(acme, "dead", 10)], "dead", HeldEntries("dead", Heartbeat("dead")))
    return execution.job


def be_settled_by_others(acme):
    """The worker that recorded the result died before it settled the entry."""
    job = claimed(acme)
    lifecycle.apply([lifecycle.complete(job, Done({}), redis_clock.now())])
    pending.requeue("acme", "dead", held=())


def be_late_for_its_worker(acme):
    """Another process ended the job, and died before it settled."""
    held = HeldEntries("w", Heartbeat("w"))
    [execution] = claim([take(acme, "w", 10)], "w", held)
    lifecycle.apply([lifecycle.fail(execution.job, "x", "", redis_clock.now())])
    execution.answer = Done({})
    Recorder().record([execution])
    settle_executions([execution], held)


def die(acme):
    claimed(acme)
    takeover.take_over("dead")


def be_interrupted(acme):
    claimed(acme)
    takeover.interrupt("dead", ["acme"])


def hang(acme):
    claimed(acme)
    Job.objects.update(deadline_at=past())
    sweep.take_over_overdue_calls()


def expire(acme):
    Job.objects.update(deadline_at=past())
    resolve_overdue_jobs()


def get_no_callback(acme):
    Job.objects.update(status="waiting", deadline_at=past())
    resolve_overdue_jobs()


def call_back(body, status="waiting", verdict="", **changes):
    job = Job.objects.get()
    Job.objects.update(status=status, attempt=1, **changes)
    given = {"vendor": "acme", "job": job.pk, "run": 1, "attempt": 1, "body": body}
    return Callback.objects.create(
        key=job.pk, body_bytes=2, received_at=past(), verdict=verdict, **given
    )


def be_called_back(acme):
    apply.apply(call_back({"info": "x"}), acme, redis_clock.now())


def be_swept(acme):
    call_back({"info": "x"})
    sweep.apply_stored_callbacks()


def be_called_back_late(acme):
    callback = call_back({"info": "x"}, "failed", Verdict.LATE, error_code="callback_overdue")
    assert apply.apply_late(callback, redis_clock.now())


def be_replayed(acme):
    callback = call_back({"info": "x"}, verdict=Verdict.UNREADABLE)
    apply.apply(callback, acme, redis_clock.now(), by_operator=True)


def cancel(acme):
    assert operator_actions.cancel(Job.objects.get(), redis_clock.now())


def cancel_its_batch(acme):
    batch = Batch.new("default")
    batches.create(batch)
    Job.objects.update(batch=batch.pk, batch_index=0)
    batches.request_cancel(batch.pk, redis_clock.now())
    operator_actions.advance(Batch.objects.get())


WAYS = {
    "answered": lambda acme: execute(acme, Done({})),
    "refused": lambda acme: execute(acme, VendorError("invalid_input", "No.", permanent=True)),
    **{
        act.__name__: act
        for act in (
            *(be_refused_by_the_store, be_settled_by_others, be_late_for_its_worker),
            *(die, be_interrupted, hang, expire, get_no_callback, be_called_back, be_swept),
            *(be_called_back_late, be_replayed, cancel, cancel_its_batch),
        )
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_job_that_ends_wakes_those_who_wait_for_it(acme, queue_job, way):
    job = queue_job()
    with (
        waiters.waiting_for(job.pk, 30, "acme") as ended,
        waiters.waiting_for(job.pk, 30, "acme") as ended_too,
        waiters.waiting_for("another", 30, "acme") as another,
    ):
        WAYS[way](acme)
        assert Job.objects.get().status in FINAL
        assert ended.wait(5)
        assert ended_too.wait(5)
        assert not another.is_set()


@pytest.fixture
def queue_job(make_job):
    def queue_job():
        job = make_job()
        stream.offer("acme", [job.pk])
        return job

    return queue_job


def test_a_job_that_goes_on_wakes_nobody(acme, queue_job, redis_client):
    job = queue_job()
    with waiters.waiting_for(job.pk, 30, "acme"):
        execute(acme, Accepted())
        assert not redis_client.exists(ENDED)


def test_a_batch_that_is_finished_wakes_those_who_wait_for_it():
    batch = Batch.new("default")
    batches.create(batch)
    batches.seal(batch.pk, redis_clock.now())
    with waiters.waiting_for(batch.pk, 30) as ended:
        assert batches.finish(Batch.objects.get())
        assert ended.wait(5)


def test_other_jobs_wake_nobody(acme, queue_job, redis_client):
    queue_job()
    execute(acme, Done({}))
    with waiters.waiting_for("another", 30, "acme"):
        settle("acme", [Settlement("one", is_final=True), Settlement("another", frees_slot=True)])
    settle("quick", [Settlement("another", is_final=True)])
    assert not redis_client.exists(ENDED)
    assert 0 < redis_client.ttl(Keys("acme").waited) <= 60


def test_waits_that_are_over_are_forgotten_with_the_next_one(redis_client):
    for job_id, seconds in [("over", 0), ("under way", 20), ("newest", 30), ("newest", 10)]:
        with waiters.waiting_for(job_id, seconds, "acme"):
            pass
    assert redis_client.zrange(Keys("acme").waited, 0, -1) == ["under way", "newest"]


def test_the_thread_that_listens_ends_with_the_last_wait_and_starts_with_the_next(monkeypatch):
    monkeypatch.setattr("jobs.queue.waiting.BLOCK_SECONDS", 0.05)
    for _ in range(2):
        wait_for(lambda: waiters._listener is None, "the thread to end")
        with waiters.waiting_for("a", 30) as ended:
            assert waiters._listener.is_alive()
            assert not ended.is_set()
    assert not waiters._events


def test_nobody_waits_without_redis(valkey):
    valkey.kill()
    try:
        with waiters.waiting_for("a", 30) as ended:
            assert ended is None
    finally:
        valkey.start()


def test_all_are_woken_when_the_connection_breaks(valkey):
    with waiters.waiting_for("a", 30) as ended:
        valkey.kill()
        try:
            assert ended.wait(5)
        finally:
            valkey.start()


def test_those_who_come_when_the_process_stops_are_woken_at_once(monkeypatch):
    monkeypatch.setattr("jobs.stopping.is_stopping", lambda: True)
    with waiters.waiting_for("a", 30) as ended:
        assert ended.is_set()
