"""Entries that a worker holds, and those that it requeues because it lost track of them."""

from dataclasses import replace
from datetime import UTC, datetime
from threading import Event

import pytest

from harness.limits import restore_own
from harness.waiting import wait_for
from jobs import lifecycle
from jobs.models import Job, Stream
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.keys import Keys
from jobs.queue.stream import Entry, add
from jobs.queue.take import take
from jobs.worker.claim import claim
from jobs.worker.held_entries import HeldEntries
from jobs.worker.record import Recorder
from jobs.worker.threads.collector import MAX_SIZE, Collector
from vendors.base import Done

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]


@pytest.fixture
def held():
    return HeldEntries("w", Heartbeat("w"))


def test_entries_of_two_streams_can_have_the_same_id(held):
    acme, beta = (Entry(slug, Stream.JOBS, "1-0", "job") for slug in ("acme", "beta"))
    one, two = (Entry("beta", Stream.POLLS, "1-0", "job", credential=key) for key in ("", "K"))
    held.add([acme, beta, one, two])
    held.remove([acme, one, replace(beta, credential="K")])
    assert held._held == {two.place}


def test_entries_are_requeued_when_the_reply_to_take_is_lost(held, make_vendor, make_job):
    acme, job = make_vendor(), make_job()
    restore_own("acme", [], [], [])
    add("acme", [job.pk], Stream.JOBS)
    take(acme, "w", 1)  # and the reply is not kept
    held.expect_unknown_entries()
    held.reconcile(["acme"])
    assert [entry.job_id for entry in take(acme, "w", 1).entries] == [job.pk]


def test_a_collector_is_behind_when_answers_come_faster_than_they_are_recorded():
    executed = Collector(lambda batch: None)
    assert not executed.is_behind
    for _ in range(MAX_SIZE + 1):
        executed.put(None)
    wait_for(lambda: executed.is_behind, "too many answers to wait")


def test_a_collector_is_behind_while_the_store_is_slow(monkeypatch, held, make_vendor, make_job):
    acme, job = make_vendor(), make_job()
    restore_own("acme", [], [], [])
    add("acme", [job.pk], Stream.JOBS)
    [execution] = claim([take(acme, "w", 1)], "w", held)
    execution.answer = Done({})
    executed, store_answers = Collector(Recorder().record), Event()
    monkeypatch.setattr("jobs.worker.threads.collector.SLOW_SECONDS", 0.1)
    monkeypatch.setattr("jobs.lifecycle.apply", lambda moves: store_answers.wait(20) and [True])
    executed.start()
    executed.put(execution)
    wait_for(lambda: executed.is_behind, "the batch to take too long")
    store_answers.set()
    wait_for(lambda: not executed.is_behind, "the batch to be recorded")
    assert executed.finish(20)


def test_a_claim_that_reaches_the_store_after_its_failure_is_released(
    held, redis_client, make_vendor, make_job, monkeypatch
):
    monkeypatch.setattr("jobs.worker.held_entries.LATE_CLAIM_CHECK_INTERVAL_SECONDS", 0)
    acme, job, now = make_vendor(max_in_flight=1), make_job(), datetime.now(UTC)
    restore_own("acme", [], [], [])
    add("acme", [job.pk], Stream.JOBS)
    entries = take(acme, "w", 1).entries
    held.add(entries)
    held.suspect_claim(entries, "token")
    held.reconcile(["acme"])  # the claim has not arrived
    lifecycle.claim([job.pk], worker="w", run_token="token", now=now, deadline_at=now)
    assert [take(acme, "other", 1).entries[0].job_id] == [job.pk]  # which can't claim it
    held.reconcile(["acme"])
    row = Job.objects.get()
    assert (row.status, row.failures, row.crashes) == ("queued", 0, 0)
    retries = Keys("acme").retries
    pending = redis_client.xpending(retries, "workers")["pending"]
    assert redis_client.xlen(retries) - pending == 1
