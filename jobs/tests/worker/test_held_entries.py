"""What a worker holds, and what it hands back because nobody holds it."""

from datetime import UTC, datetime
from threading import Event

import pytest

from harness.waiting import wait_for
from jobs import lifecycle
from jobs.models import Job, Stream
from jobs.queue import limiter
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.keys import Keys
from jobs.queue.stream import Entry, add
from jobs.queue.take import take
from jobs.worker.claim import Starter
from jobs.worker.execute import Ended
from jobs.worker.held_entries import Hands
from jobs.worker.record import BATCH, Recorder
from vendors.base import Done

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]


def test_entries_of_two_vendors_can_have_the_same_id(redis_client, make_vendor):
    hands = Hands("w", Heartbeat("w"))
    acme, beta = (Entry(vendor, Stream.JOBS, "1-0", "job") for vendor in ("acme", "beta"))
    hands.hold([acme, beta])
    hands.let_go([acme])
    assert hands._held == {("beta", Stream.JOBS, "1-0")}


def test_a_take_whose_reply_was_lost_is_handed_back(redis_client, make_vendor, make_job):
    acme, job = make_vendor(), make_job()
    limiter.rebuild("acme", [], [], [])
    add("acme", [job.pk], Stream.JOBS)
    take(acme, "w", 1)  # nobody keeps the answer
    hands = Hands("w", Heartbeat("w"))
    hands.doubt()
    hands.tidy(["acme"])
    assert [entry.job_id for entry in take(acme, "w", 1).entries] == [job.pk]


def test_calls_stop_while_answers_come_faster_than_they_are_recorded():
    recorder = Recorder(Hands("w", Heartbeat("w")).settle)
    assert not recorder.is_behind
    for _ in range(BATCH + 1):
        recorder.ended.put(None)
    wait_for(lambda: recorder.is_behind, "the recorder to be behind")


def test_calls_stop_while_the_store_takes_its_time(monkeypatch, make_vendor, make_job):
    acme, job = make_vendor(), make_job()
    limiter.rebuild("acme", [], [], [])
    add("acme", [job.pk], Stream.JOBS)
    [started] = Starter("w", Hands("w", Heartbeat("w"))).start([take(acme, "w", 1)])
    recorder, store_answers = Recorder(Hands("w", Heartbeat("w")).settle), Event()
    monkeypatch.setattr("jobs.worker.record.SLOW_SECONDS", 0.1)
    monkeypatch.setattr("jobs.lifecycle.apply", lambda moves: store_answers.wait(20) and [True])
    recorder.start()
    recorder.ended.put(Ended(started, Done({})))
    wait_for(lambda: recorder.is_behind, "the recorder to be behind")
    store_answers.set()
    wait_for(lambda: not recorder.is_behind, "the recorder to have caught up")
    recorder.finish(20)


def test_a_start_that_reaches_the_store_after_it_was_given_up_is_found_and_handed_back(
    redis_client, make_vendor, make_job, monkeypatch
):
    monkeypatch.setattr("jobs.worker.held_entries.LATE_LOOK_SECONDS", 0)
    acme, job, now = make_vendor(max_in_flight=1), make_job(), datetime.now(UTC)
    limiter.rebuild("acme", [], [], [])
    add("acme", [job.pk], Stream.JOBS)
    hands, entries = Hands("w", Heartbeat("w")), take(acme, "w", 1).entries
    hands.hold(entries)
    hands.strand(entries, "token")
    hands.tidy(["acme"])  # nothing has started
    lifecycle.claim([job.pk], worker="w", run_token="token", now=now, deadline_at=now)
    assert [take(acme, "other", 1).entries[0].job_id] == [job.pk]  # whom the row refuses
    hands.tidy(["acme"])
    row = Job.objects.get()
    assert (row.status, row.failures, row.crashes) == ("queued", 0, 0)
    keys = Keys("acme")
    assert [
        redis_client.xlen(keys.retries) - redis_client.xpending(keys.retries, "workers")["pending"]
    ] == [1]
