"""What a worker holds, and what it hands back because nobody holds it."""

import pytest

from jobs import limiter
from jobs.beat import Beat
from jobs.hands import Hands
from jobs.models import Stream
from jobs.recorder import BATCH, Recorder
from jobs.stream import Entry, add
from jobs.take import take
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_client")]


def test_entries_of_two_vendors_can_have_the_same_id(redis_client, make_vendor):
    hands = Hands("w", Beat("w"))
    acme, beta = (Entry(vendor, Stream.JOBS, "1-0", "job") for vendor in ("acme", "beta"))
    hands.hold([acme, beta])
    hands.let_go([acme])
    assert hands._held == {("beta", Stream.JOBS, "1-0")}


def test_a_take_whose_reply_was_lost_is_handed_back(redis_client, make_vendor, make_job):
    acme, job = make_vendor(), make_job()
    limiter.rebuild("acme", [], [], [])
    add("acme", [job.pk], Stream.JOBS)
    take(acme, "w", 1)  # nobody keeps the answer
    hands = Hands("w", Beat("w"))
    hands.doubt()
    hands.tidy(["acme"])
    assert [entry.job_id for entry in take(acme, "w", 1).entries] == [job.pk]


def test_calls_stop_while_answers_come_faster_than_they_are_recorded():
    recorder = Recorder(Hands("w", Beat("w")).settle)
    assert not recorder.is_behind
    for _ in range(BATCH + 1):
        recorder.ended.put(None)
    wait_for(lambda: recorder.is_behind, "the recorder to be behind")
