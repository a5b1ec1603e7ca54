"""Crashes and outages of workers, vendors, Redis and the store. No job is lost."""

import os
import signal
import sqlite3
import time

import pytest
from django.db import connection

from harness.vendor.scripted import Answer
from harness.waiting import wait_for
from jobs.models import Attempt, Job, Status
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.recovery import in_flight
from tests.conftest import statuses, wait_until_final
from vendors.models import Vendor


@pytest.fixture(autouse=True)
def acme(make_vendor, vendor_server, transactional_db):
    return make_vendor(url=vendor_server.url)


@pytest.fixture
def calls_under_way(start_worker, submit, vendor_server):
    """A worker in the middle of three calls."""
    vendor_server.hold.clear()
    submit(3)
    worker = start_worker()
    wait_for(lambda: len(vendor_server.arrivals) == 3, "three calls to be under way")
    return worker


def test_another_worker_starts_the_jobs_of_a_killed_worker_within_15_s(
    calls_under_way, start_worker, vendor_server
):
    start_worker()
    calls_under_way.kill()
    killed_at = time.time()
    vendor_server.hold.set()
    wait_until_final()
    assert statuses() == ["complete"] * 3
    assert max(arrival.at for arrival in vendor_server.arrivals) - killed_at < 15
    assert {(job.crashes, job.failures) for job in Job.objects.all()} == {(1, 0)}
    # A repeated call has the same idempotency key.
    assert sorted(vendor_server.keys()) == sorted([job.pk for job in Job.objects.all()] * 2)


def test_no_call_is_repeated_after_a_crash_when_repeat_unknown_is_off(
    calls_under_way, start_worker, vendor_server
):
    Vendor.objects.update(repeat_unknown=False)
    calls_under_way.kill()
    start_worker()
    wait_until_final()
    assert {job.error_code for job in Job.objects.all()} == {"outcome_unknown"}
    assert len(vendor_server.arrivals) == 3


def test_a_frozen_worker_changes_nothing_when_it_wakes_up_after_a_takeover(
    calls_under_way, start_worker, vendor_server
):
    calls_under_way.send(signal.SIGSTOP)
    start_worker()
    wait_for(lambda: len(vendor_server.arrivals) == 6, "the jobs to be taken over")
    calls_under_way.send(signal.SIGCONT)
    vendor_server.hold.set()
    wait_until_final()
    assert statuses() == ["complete"] * 3
    assert {job.attempt for job in Job.objects.all()} == {2}
    # On MongoDB attempts are written just after the jobs.
    second = Attempt.objects.filter(number=2)
    wait_for(lambda: second.count() == 3, "the last attempts to be written")
    outcomes = set(Attempt.objects.values_list("number", "outcome"))
    assert outcomes == {(1, "worker_lost"), (2, "found")}


def test_a_stopped_worker_finishes_its_calls(calls_under_way, vendor_server, redis_client):
    calls_under_way.send(signal.SIGTERM)
    vendor_server.hold.set()
    assert calls_under_way.end() == 0
    assert statuses() == ["complete"] * 3
    assert redis_client.zcard(HEARTBEATS) == 0
    assert redis_client.xinfo_consumers(Keys("acme").jobs, "workers") == []


def test_a_stopped_worker_interrupts_calls_that_exceed_the_grace_period(
    start_worker, submit, vendor_server, redis_client
):
    vendor_server.hold.clear()
    submit(1)
    worker = start_worker("--grace-seconds", "0.2")
    wait_for(lambda: vendor_server.arrivals, "the call to be under way")
    worker.send(signal.SIGTERM)
    assert worker.end() == 0
    job = Job.objects.get()
    assert (job.status, job.crashes, job.failures) == ("queued", 0, 0)
    assert redis_client.xlen(Keys("acme").retries) == 1


def test_a_stopped_worker_releases_jobs_that_wait_for_a_thread(start_worker, submit, vendor_server):
    def hang_from_the_60th_call_on(arrival):
        if len(vendor_server.arrivals) >= 60:
            vendor_server.hold.clear()
        return Answer(body={})

    vendor_server.answer = hang_from_the_60th_call_on
    submit(300)
    worker = start_worker("--threads", "3")

    def uncalled():
        claimed = Job.objects.filter(status__in=(Status.PROCESSING, Status.COMPLETE))
        return claimed.count() - len(vendor_server.arrivals)

    wait_for(lambda: not vendor_server.hold.is_set(), "calls to hang")
    wait_for(lambda: uncalled() > 0, "jobs to wait for a thread")
    worker.send(signal.SIGTERM)
    wait_for(lambda: "calls are under way" in worker.output, "the worker to stop")
    wait_for(lambda: uncalled() == 0, "the waiting jobs to be released, and no others")
    vendor_server.hold.set()
    assert worker.end() == 0
    complete = Job.objects.filter(status=Status.COMPLETE)
    assert Attempt.objects.count() == len(vendor_server.arrivals) == complete.count()
    queued = Job.objects.filter(status=Status.QUEUED)
    assert set(queued.values_list("failures", "crashes")) == {(0, 0)}


def test_a_second_signal_ends_a_worker_at_once(calls_under_way):
    calls_under_way.send(signal.SIGTERM)
    wait_for(lambda: "3 calls are under way" in calls_under_way.output, "the worker to stop")

    # Sent until it ends: a second signal within a second counts as a copy of the first.
    def has_ended():
        return calls_under_way.process.poll() is not None or calls_under_way.send(signal.SIGTERM)

    wait_for(has_ended, "the end")
    assert calls_under_way.end(1) == 1


def test_queued_jobs_survive_a_flush_of_redis(start_worker, submit, redis_client):
    submit(20)
    redis_client.flushall()
    long_ago = Job.objects.first().created_at.replace(year=2020)
    Job.objects.update(queued_at=long_ago)  # so that entries count as lost at once
    start_worker()
    wait_until_final()
    assert statuses() == ["complete"] * 20


def test_calls_under_way_survive_a_flush_of_redis(calls_under_way, vendor_server, redis_client):
    redis_client.flushall()
    vendor_server.hold.set()
    wait_until_final()
    assert {job.attempt for job in Job.objects.all()} == {1}


def test_jobs_posted_while_redis_is_away_start_when_it_is_back(start_worker, submit, valkey):
    start_worker()
    valkey.kill()
    try:
        submit(2)
        assert statuses() == ["queued"] * 2
    finally:
        valkey.start()
    wait_until_final()
    assert statuses() == ["complete"] * 2


def test_no_living_worker_is_declared_dead_when_redis_restarts(
    calls_under_way, vendor_server, valkey, redis_client
):
    valkey.kill()
    valkey.start()
    wait_for(lambda: redis_client.zcard(HEARTBEATS), "another heartbeat")
    vendor_server.hold.set()
    wait_until_final()
    assert {(job.attempt, job.crashes) for job in Job.objects.all()} == {(1, 0)}


@pytest.mark.sqlite  # it locks the file
def test_answers_are_kept_while_the_store_is_locked(calls_under_way, vendor_server):
    locker = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    vendor_server.hold.set()
    with pytest.raises(AssertionError):
        wait_for(lambda: Status.COMPLETE in statuses(), "an answer to be recorded", seconds=1)
    locker.execute("COMMIT")
    wait_until_final()
    assert len(vendor_server.arrivals) == 3


def test_a_single_job_survives_an_outage(start_worker, submit, vendor_server, acme):
    Vendor.objects.update(max_attempts=2)
    vendor_server.answer = lambda _: Answer(503 if len(vendor_server.arrivals) <= 3 else 200, {})
    submit(1)
    start_worker()
    wait_until_final(60)
    job = Job.objects.get()
    assert (job.status, job.failures, job.attempt) == ("complete", 1, 4)


def test_an_overdue_call_is_taken_over_from_a_living_worker(make_job, start_worker, vendor_server):
    overdue = {"deadline_at": Job.new().created_at.replace(year=2020), "worker": "another"}
    make_job(status=Status.PROCESSING, attempt=1, **overdue)
    start_worker()
    wait_until_final()
    assert (Job.objects.get().status, Job.objects.get().crashes) == ("complete", 1)


def test_a_leaked_slot_is_freed(make_job, redis_client, acme):
    Vendor.objects.update(max_in_flight=1)
    waiting = make_job(status=Status.WAITING, started_at=Job.new().created_at.replace(year=2020))
    slots = Keys("acme").in_flight
    redis_client.zadd(slots, {"gone": 1, "fresh": time.time() * 1000})
    assert in_flight.correct("acme") == 2
    assert set(redis_client.zrange(slots, 0, -1)) == {"fresh", waiting.pk}


def test_a_signal_to_the_process_group_stops_workers_gracefully(
    start_worker, submit, vendor_server, redis_client
):
    vendor_server.hold.clear()
    parent = start_worker("--processes", "2")
    wait_for(lambda: redis_client.zcard(HEARTBEATS) == 2, "two workers to live")
    submit(2)
    wait_for(lambda: len(vendor_server.arrivals) == 2, "two calls to be under way")
    os.killpg(parent.process.pid, signal.SIGTERM)
    vendor_server.hold.set()
    assert parent.end() == 0
    assert (statuses(), parent.output.count("has stopped")) == (["complete"] * 2, 2)


def test_worker_processes_end_when_their_parent_is_killed(start_worker, redis_client):
    parent = start_worker("--processes", "2")
    wait_for(lambda: redis_client.zcard(HEARTBEATS) == 2, "two workers to live")
    parent.kill()
    wait_for(lambda: redis_client.zcard(HEARTBEATS) == 0, "both to sign off")


def test_a_worker_process_that_dies_is_replaced(start_worker, redis_client):
    start_worker("--processes", "2")
    wait_for(lambda: redis_client.zcard(HEARTBEATS) == 2, "two workers to live")
    first = redis_client.zrange(HEARTBEATS, 0, 0)[0]
    os.kill(int(first.rsplit("-", 2)[1]), signal.SIGKILL)

    def living():
        return set(redis_client.zrange(HEARTBEATS, 0, -1)) - {first}

    wait_for(lambda: len(living()) == 2, "another to take its place")
