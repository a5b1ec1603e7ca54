"""A vendor hangs or is down. Others are not affected, its jobs wait, and calls resume gradually."""

import threading
from datetime import timedelta

import pytest

from harness.limits import restore_own
from harness.vendor.scripted import Answer, VendorServer
from harness.waiting import wait_for
from jobs.models import Job, Status
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.keys import Keys
from jobs.queue.take import take
from jobs.recovery import sweep, takeover
from jobs.worker.claim import claim
from jobs.worker.held_entries import HeldEntries
from jobs.worker.record import Recorder
from jobs.worker.settle import settle
from tests.conftest import statuses, wait_until_final
from vendors.base import Done, VendorError

DOWN = VendorError("vendor_error", "It answered 503.", outage=True)
STATE = Keys("acme").state


@pytest.fixture(autouse=True)
def acme(make_vendor, vendor_server, transactional_db):
    return make_vendor(url=vendor_server.url)


class Watched:
    """Answers each call after 50 ms. Notes at each arrival how many calls are under way, and how
    many were answered before.
    """

    def __init__(self, status):
        self.status = status
        self._under_way = 0
        self._lock = threading.Lock()
        self.forget()

    def forget(self):
        self.levels, self._answered = [], 0

    def __call__(self, arrival):
        with self._lock:
            self._under_way += 1
            self.levels.append((self._under_way, self._answered))
        threading.Event().wait(0.05)
        with self._lock:
            self._under_way -= 1
            self._answered += 1
        return Answer(self.status, {"ok": True})


@pytest.fixture
def outage(vendor_server, start_worker, submit, redis_client):
    """Three workers, and a vendor with 60 jobs whose breaker has opened. Only probes follow."""
    vendor_server.answer = watched = Watched(503)
    submit(60)
    start_worker("--processes", "3")

    def is_open():
        return redis_client.hexists(STATE, "open_until") and "processing" not in statuses()

    wait_for(is_open, "the breaker to open")
    watched.forget()
    return watched


@pytest.fixture
def neighbour(make_vendor):
    server = VendorServer()
    make_vendor("quick", url=server.url)
    yield server
    server.stop()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_vendor_that_hangs_does_not_delay_others(
    processes, vendor_server, neighbour, start_worker, submit
):
    vendor_server.hold.clear()
    submit(60)
    start_worker("--processes", str(processes))
    wait_for(lambda: len(vendor_server.arrivals) == 22 * processes, "calls to fill its share")
    jobs = submit(40, vendor="quick")
    complete = Job.objects.filter(vendor="quick", status=Status.COMPLETE)
    wait_for(lambda: complete.count() == 40, "its neighbour's jobs", 10)
    started = dict(Job.objects.filter(vendor="quick").values_list("pk", "started_at"))
    assert [job.pk for job in jobs] == sorted(started, key=lambda pk: (started[pk], pk))
    assert len(vendor_server.arrivals) == 22 * processes


def test_one_probe_at_a_time_calls_a_vendor_that_is_down(outage, redis_client):
    for probes in (1, 2, 3):
        redis_client.hset(STATE, "opened", 0)  # so that the next pause is short again
        wait_for(lambda probes=probes: len(outage.levels) >= probes, "the next probe")
    assert {under_way for under_way, _ in outage.levels} == {1}
    assert set(statuses()) <= {"queued", "processing"}
    assert sum(Job.objects.values_list("failures", flat=True)) <= 4


def test_concurrent_calls_grow_by_one_for_each_answer_after_an_outage(outage):
    outage.status = 200
    wait_until_final()
    assert statuses() == ["complete"] * 60
    assert all(under_way <= max(1, answered) for under_way, answered in outage.levels)
    assert max(outage.levels)[0] > 1


# The following tests run no processes, so that they need not wait for pauses.


@pytest.fixture
def queued(submit, redis_client):
    restore_own("acme", [], [], [])
    submit(1)


def end_all_pauses(redis_client):
    Job.objects.exclude(not_before=None).update(
        not_before=Job.new().created_at - timedelta(minutes=1)
    )
    sweep.enqueue_due_jobs()
    if redis_client.hexists(STATE, "open_until"):
        redis_client.hset(STATE, "open_until", 1)


def take_and_claim(vendor, worker="w", count=10):
    return claim([take(vendor, worker, count)], worker, HeldEntries(worker, Heartbeat(worker)))


def record(executions, *answers):
    for execution, answer in zip(executions, answers, strict=True):
        execution.answer = answer
    Recorder().record(executions)
    settle(executions, HeldEntries("w", Heartbeat("w")))


def call(answer, vendor):
    """Do the steps of a worker, with this answer. Returns how many jobs were called."""
    executions = take_and_claim(vendor)
    record(executions, *[answer] * len(executions))
    return len(executions)


@pytest.mark.parametrize("max_attempts", [2, 100])
def test_a_single_job_survives_an_outage_of_any_length(queued, redis_client, acme, max_attempts):
    acme.max_attempts = max_attempts
    for _ in range(12):
        end_all_pauses(redis_client)
        assert call(DOWN, acme) == 1
    end_all_pauses(redis_client)
    call(Done({}), acme)
    job = Job.objects.get()
    assert (job.status, job.attempt) == ("complete", 13)
    assert job.failures == min(4, max_attempts - 1)


@pytest.mark.parametrize("max_attempts", [2, 6])
def test_a_job_survives_repeated_flushes_of_redis_during_an_outage(
    queued, redis_client, acme, max_attempts
):
    acme.max_attempts = max_attempts
    for _ in range(12):
        redis_client.flushall()
        restore_own("acme", [], [], [])
        # In place of the sweep for lost entries.
        Job.objects.filter(not_before=None).update(not_before=Job.new().created_at)
        end_all_pauses(redis_client)
        assert call(DOWN, acme) == 1
    assert (Job.objects.get().status, Job.objects.get().attempt) == ("queued", 12)


def call_while_redis_goes_away(answer, vendor, valkey):
    executions = take_and_claim(vendor, count=1)
    valkey.kill()
    try:
        record(executions, answer)
    finally:
        valkey.start()


def test_an_outage_does_not_count_while_redis_is_away(queued, valkey, acme):
    acme.max_attempts = 1
    call_while_redis_goes_away(DOWN, acme, valkey)
    assert (Job.objects.get().status, Job.objects.get().failures) == ("queued", 0)


def test_a_vendor_is_paused_when_it_asks_for_it_while_redis_is_away(queued, valkey, acme):
    throttled = VendorError("rate_limited", "", retry_after=timedelta(hours=1))
    call_while_redis_goes_away(throttled, acme, valkey)
    acme.refresh_from_db()
    assert acme.is_paused(Job.new().created_at + timedelta(minutes=50))


def test_a_late_failure_does_not_count_when_a_probe_succeeded_meanwhile(
    queued, submit, redis_client, acme
):
    acme.max_attempts = 1
    [late] = take_and_claim(acme, count=1)
    redis_client.hset(STATE, mapping={"open_until": 1, "opened": 1})
    submit(1)
    [probe] = take_and_claim(acme, count=1)
    record([probe, late], Done({}), DOWN)
    assert statuses() == ["complete", "queued"]
    assert not redis_client.hexists(STATE, "open_until")


def test_an_outage_ends_although_the_worker_with_the_probe_crashed(queued, redis_client, acme):
    redis_client.hset(STATE, mapping={"open_until": 1, "opened": 1})
    [probe] = take_and_claim(acme, "dead", 1)
    assert probe.probe
    assert takeover.take_over("dead")
    redis_client.hset(STATE, "probe_until", 1)  # it has expired
    assert call(Done({}), acme) == 1
    assert (statuses(), redis_client.hexists(STATE, "open_until")) == (["complete"], False)
