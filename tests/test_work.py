"""A worker's day without mishaps."""

import json
import time

import pytest
from django.db import connection

from harness.vendor.scripted import Answer
from harness.waiting import wait_for
from jobs.models import Attempt, Job, Status
from jobs.queue import limiter, stream
from jobs.queue.keys import HEARTBEATS, Keys
from tests.conftest import statuses, wait_until_final
from vendors.models import Vendor


@pytest.fixture(autouse=True)
def acme(make_vendor, vendor_server, transactional_db):
    return make_vendor(url=vendor_server.url)


def test_jobs_are_called_once_each_and_completed(start_worker, submit, vendor_server, redis_client):
    jobs = submit(40)
    assert start_worker("--drain").end() == 0
    assert statuses() == ["complete"] * 40
    assert sorted(vendor_server.keys()) == sorted(job.pk for job in jobs)
    assert {row.outcome for row in Attempt.objects.all()} == {"found"}
    keys = Keys("acme")
    assert [
        redis_client.xlen(keys.jobs),
        redis_client.zcard(keys.in_flight),
        redis_client.zcard(HEARTBEATS),
    ] == [0, 0, 0]


def test_several_processes_share_the_work(start_worker, submit):
    submit(40)
    assert start_worker("--drain", "--processes", "2").end() == 0
    assert statuses() == ["complete"] * 40


def test_what_comes_back_is_cleaned(start_worker, submit, vendor_server):
    vendor_server.answer = lambda _: Answer(
        body={"name": " John ", "ssn": "1", "more": [{"SSN": "2", "ok": True}]}
    )
    submit()
    worker = start_worker("--drain")
    worker.end()
    assert Job.objects.get().result == {"name": "John", "more": [{"ok": True}]}
    assert "Person" not in worker.output
    assert "John" not in worker.output


def test_a_job_starts_at_once_when_a_worker_is_idle(start_worker, submit, redis_client):
    start_worker()
    wait_for(lambda: redis_client.zcard(HEARTBEATS), "the worker to live")
    submit()
    wait_until_final(5)


def test_failures_are_tried_again_until_they_succeed(start_worker, submit, vendor_server, acme):
    acme.max_attempts = 3
    acme.save()
    vendor_server.answer = lambda _: (
        Answer(500) if len(vendor_server.arrivals) < 3 else Answer(body={"ok": True})
    )
    [job] = submit()
    start_worker("--drain").end()
    assert vendor_server.keys() == [job.pk] * 3
    job = Job.objects.get()
    assert (job.status, job.attempt) == ("complete", 3)
    assert [row.outcome for row in Attempt.objects.order_by("number")] == [
        "vendor_error",
        "vendor_error",
        "found",
    ]


def test_a_refused_job_fails_with_a_code_and_a_sentence(start_worker, submit, vendor_server):
    vendor_server.answer = lambda _: Answer(422, {"secret": "John Doe"})
    submit()
    worker = start_worker("--drain")
    worker.end()
    job = Job.objects.get()
    assert (job.status, job.error_code) == ("failed", "invalid_input")
    assert "422" in job.error_message
    assert "John" not in job.error_message + worker.output


def test_a_vendor_that_asks_for_a_pause_gets_it_and_no_try_is_spent(
    start_worker, submit, vendor_server
):
    throttled = Answer(429, headers=(("Retry-After", "1"),))
    vendor_server.answer = lambda _: (
        throttled if len(vendor_server.arrivals) == 1 else Answer(body={"ok": True})
    )
    submit(1)
    start_worker("--drain").end()
    first, second = vendor_server.arrivals
    assert second.at - first.at >= 0.9
    assert (Job.objects.get().status, Job.objects.get().failures) == ("complete", 0)


def test_a_vendor_that_denies_several_jobs_is_paused_until_an_operator_resumes_it(
    start_worker, submit, vendor_server
):
    vendor_server.answer = lambda _: Answer(401)
    submit(3)
    start_worker()
    wait_for(lambda: Vendor.objects.get().paused, "the vendor to be paused")
    assert "credentials" in Vendor.objects.get().pause_reason
    assert "failed" not in statuses()
    vendor_server.answer = lambda _: Answer(body={"ok": True})
    Vendor.objects.update(paused=False)
    wait_until_final()
    assert statuses() == ["complete"] * 3


def test_what_an_operator_changes_is_in_force_within_a_second(start_worker, submit, redis_client):
    Vendor.objects.update(paused=True)
    submit()
    start_worker()
    wait_for(lambda: redis_client.zcard(HEARTBEATS), "the worker to live")
    Vendor.objects.update(paused=False)
    resumed_at = time.time()
    wait_until_final()
    assert (
        Job.objects.get().started_at.timestamp() - resumed_at < 1.5
    )  # a second, and what a busy machine adds


def test_another_vendors_jobs_pass_one_that_is_limited(
    start_worker, submit, vendor_server, make_vendor
):
    Vendor.objects.update(rate_limits="1/min")
    make_vendor("quick", url=vendor_server.url)
    submit(5)
    submit(5, vendor="quick")
    start_worker()
    wait_for(
        lambda: Job.objects.filter(vendor="quick", status=Status.COMPLETE).count() == 5,
        "the quick vendor's jobs",
    )
    assert Job.objects.filter(vendor="acme", status=Status.COMPLETE).count() < 5


@pytest.mark.parametrize("adapter", ["ReturnsNothing", "Raises"])
def test_an_adapter_that_goes_wrong_fails_its_job_and_no_other(
    start_worker, submit, make_vendor, adapter
):
    make_vendor("broken", adapter=f"adapters.faulty.{adapter}", max_attempts=1)
    submit(1, vendor="broken")
    submit(1)
    worker = start_worker("--drain")
    assert worker.end() == 0
    assert Job.objects.get(vendor="broken").error_code == "adapter_failed"
    assert Job.objects.get(vendor="acme").status == "complete"
    assert "Person" not in worker.output


def test_a_vendor_whose_row_makes_no_sense_holds_up_no_other(start_worker, submit, make_vendor):
    make_vendor("broken", rate_limits="ten a second")
    submit(1, vendor="broken")
    submit(1)
    worker = start_worker()
    wait_for(lambda: Job.objects.get(vendor="acme").status == "complete", "the other vendor's job")
    assert worker.output.count("vendor broken is not called") == 1


def test_a_start_in_the_history_is_the_permit_that_was_used(start_worker, submit, redis_client):
    Vendor.objects.update(rate_limits="50/s, 100/min")
    submit(8)
    start_worker("--drain").end()
    starts = {
        limiter.microseconds(at) for at in Attempt.objects.values_list("started_at", flat=True)
    }
    kept_us = 1000 if connection.vendor == "mongodb" else 1
    assert starts == {
        int(start) // kept_us * kept_us for start in redis_client.lrange(Keys("acme").log, 0, -1)
    }


def test_no_window_is_broken_though_redis_loses_everything_in_mid_work(
    start_worker, submit, redis_client
):
    Vendor.objects.update(rate_limits="10/s, 17/2 s")
    submit(40)
    start_worker("--processes", "2")
    for ended in (9, 14, 25):
        wait_for(lambda ended=ended: Attempt.objects.count() >= ended, f"{ended} calls to end")
        redis_client.flushall()
        stream.offer(
            "acme", list(Job.objects.filter(status=Status.QUEUED).values_list("pk", flat=True))
        )
    wait_until_final()
    wait_for(
        lambda: Attempt.objects.count() >= 40,
        "the last attempts to be written, on MongoDB behind their jobs",
    )
    starts = [
        limiter.microseconds(at) for at in Attempt.objects.values_list("started_at", flat=True)
    ]
    assert len(starts) == 40
    for calls, seconds in ((10, 1), (17, 2)):
        assert (
            max(sum(start <= at < start + seconds * 1_000_000 for at in starts) for start in starts)
            <= calls
        )


def test_log_lines_can_be_json(start_worker, submit):
    submit()
    worker = start_worker("--drain", LOG_FORMAT="json")
    worker.end()
    lines = [json.loads(line) for line in worker.output.splitlines()]
    assert lines[0]["message"].startswith("worker ")


def test_an_unknown_vendor_is_named(start_worker):
    worker = start_worker("--vendors", "acme,nobody")
    assert worker.end() == 1
    assert "Unknown vendors: nobody. Known vendors: acme." in worker.output
