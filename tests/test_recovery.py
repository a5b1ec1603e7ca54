"""What goes wrong, and that nothing is lost by it."""

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


def test_the_jobs_of_a_killed_worker_are_done_by_another_within_15_s(
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
    # A repeated call carries the same key.
    assert sorted(vendor_server.keys()) == sorted([job.pk for job in Job.objects.all()] * 2)


def test_a_vendor_that_must_not_be_called_twice_is_not_after_a_crash(
    calls_under_way, start_worker, vendor_server
):
    Vendor.objects.update(repeat_unknown=False)
    calls_under_way.kill()
    start_worker()
    wait_until_final()
    assert {job.error_code for job in Job.objects.all()} == {"outcome_unknown"}
    assert len(vendor_server.arrivals) == 3


def test_a_worker_that_comes_back_from_the_dead_changes_nothing(
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
    # On MongoDB a job's history is written just after the job.
    wait_for(
        lambda: Attempt.objects.filter(number=2).count() == 3, "the last attempts to be written"
    )
    assert set(Attempt.objects.values_list("number", "outcome")) == {
        (1, "worker_lost"),
        (2, "done"),
    }


def test_a_stopped_worker_finishes_what_is_under_way(calls_under_way, vendor_server, redis_client):
    calls_under_way.send(signal.SIGTERM)
    vendor_server.hold.set()
    assert calls_under_way.end() == 0
    assert statuses() == ["complete"] * 3
    assert redis_client.zcard(HEARTBEATS) == 0
    assert redis_client.xinfo_consumers(Keys("acme").jobs, "workers") == []


def test_a_stopped_worker_hands_back_what_does_not_end_in_time(
    start_worker, submit, vendor_server, redis_client
):
    vendor_server.hold.clear()
    submit(1)
    worker = start_worker("--grace-seconds", "0.2")
    wait_for(lambda: vendor_server.arrivals, "the call to be under way")
    worker.send(signal.SIGTERM)
    assert worker.end() == 0
    assert (Job.objects.get().status, Job.objects.get().crashes, Job.objects.get().failures) == (
        "queued",
        0,
        0,
    )
    assert redis_client.xlen(Keys("acme").retries) == 1


def test_what_was_started_ahead_of_its_thread_goes_back_uncalled_when_a_worker_stops(
    start_worker, submit, vendor_server
):
    def hang_from_the_60th_call_on(arrival):
        if len(vendor_server.arrivals) >= 60:
            vendor_server.hold.clear()
        return Answer(body={})

    vendor_server.answer = hang_from_the_60th_call_on
    submit(300)
    worker = start_worker("--threads", "3")

    def uncalled():
        return Job.objects.filter(status__in=(Status.PROCESSING, Status.COMPLETE)).count() - len(
            vendor_server.arrivals
        )

    wait_for(
        lambda: not vendor_server.hold.is_set() and uncalled() > 0, "jobs to wait for a thread"
    )
    worker.send(signal.SIGTERM)
    wait_for(lambda: "calls are under way" in worker.output, "the worker to stop")
    wait_for(lambda: uncalled() == 0, "those that wait to be handed back, and no others")
    vendor_server.hold.set()
    assert worker.end() == 0
    assert (
        Attempt.objects.count()
        == len(vendor_server.arrivals)
        == Job.objects.filter(status=Status.COMPLETE).count()
    )
    assert set(Job.objects.filter(status=Status.QUEUED).values_list("failures", "crashes")) == {
        (0, 0)
    }


def test_a_second_signal_ends_a_worker_at_once(calls_under_way):
    calls_under_way.send(signal.SIGTERM)
    wait_for(lambda: "3 calls are under way" in calls_under_way.output, "the worker to stop")
    # Until it ends: two signals within a second are taken for one that came twice.
    wait_for(
        lambda: calls_under_way.process.poll() is not None or calls_under_way.send(signal.SIGTERM),
        "the end",
    )
    assert calls_under_way.end(1) == 1


def test_queued_jobs_survive_a_flush_of_redis(start_worker, submit, redis_client):
    submit(20)
    redis_client.flushall()
    Job.objects.update(
        queued_at=Job.objects.first().created_at.replace(year=2020)
    )  # the grace is over
    start_worker()
    wait_until_final()
    assert statuses() == ["complete"] * 20


def test_calls_under_way_survive_a_flush_of_redis(calls_under_way, vendor_server, redis_client):
    redis_client.flushall()
    vendor_server.hold.set()
    wait_until_final()
    assert {job.attempt for job in Job.objects.all()} == {1}


def test_jobs_submitted_without_redis_start_when_it_is_back(start_worker, submit, valkey):
    start_worker()
    valkey.kill()
    try:
        submit(2)
        assert statuses() == ["queued"] * 2
    finally:
        valkey.start()
    wait_until_final()
    assert statuses() == ["complete"] * 2


def test_a_restart_of_redis_makes_no_living_worker_dead(
    calls_under_way, vendor_server, valkey, redis_client
):
    valkey.kill()
    valkey.start()
    wait_for(lambda: redis_client.zcard(HEARTBEATS), "the worker to beat again")
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
    vendor_server.answer = lambda _: (
        Answer(503) if len(vendor_server.arrivals) <= 3 else Answer(body={"ok": True})
    )
    submit(1)
    start_worker()
    wait_until_final(60)
    job = Job.objects.get()
    assert (job.status, job.failures, job.attempt) == ("complete", 1, 4)


def test_a_call_that_is_long_overdue_is_taken_over_though_its_worker_lives(
    make_job, start_worker, vendor_server
):
    make_job(
        status=Status.PROCESSING,
        attempt=1,
        worker="somebody",
        deadline_at=Job().created_at.replace(year=2020),
    )
    start_worker()
    wait_until_final()
    assert (Job.objects.get().status, Job.objects.get().crashes) == ("complete", 1)


def test_a_leaked_slot_is_found(make_job, redis_client, acme):
    Vendor.objects.update(max_in_flight=1)
    waiting = make_job(status=Status.WAITING, started_at=Job().created_at.replace(year=2020))
    redis_client.zadd(Keys("acme").in_flight, {"gone": 1, "fresh": time.time() * 1000})
    assert in_flight.correct("acme") == 2
    assert sorted(redis_client.zrange(Keys("acme").in_flight, 0, -1)) == sorted(
        ["fresh", waiting.pk]
    )


def test_a_signal_to_the_whole_group_stops_it_gracefully(
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
    wait_for(
        lambda: len(set(redis_client.zrange(HEARTBEATS, 0, -1)) - {first}) == 2,
        "another to take its place",
    )
