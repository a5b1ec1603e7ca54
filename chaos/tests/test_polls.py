"""Vendors without code: what the campaign's vendor answers and posts, and the checks."""

import hmac
import json
import re
import tomllib
from datetime import UTC, datetime, timedelta

import pytest

from chaos import ledger
from chaos.calls import Call
from chaos.history import History, Story
from chaos.journal import End, Journal
from chaos.plans import Plan
from chaos.polls import checks, pen
from chaos.polls.desk import Desk
from chaos.tests.conftest import JOB, SEED
from chaos.vendors import as_toml
from jobs.models import UNKNOWN, Attempt, Callback, Job, Verdict
from vendors.loading import toml

SECRET = "a secret"
CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = "host-77-abc"


def call_of(vendor="polled", callback="normal", **plan):
    url = "http://127.0.0.1:9/vendor-webhook/x"
    plan = Plan(callback=callback, callback_seconds=0, **plan)
    return Call(vendor, JOB, 1, "ok", plan, {"name": "Job", "serial": 5}, url)


def test_the_definitions_have_no_faults():
    text = as_toml("http://127.0.0.1:8001", "http://127.0.0.1:8002")
    assert toml.parse(text)
    tables = tomllib.loads(text)["vendors"]
    assert tables["lookup"]["url"] == "GET http://127.0.0.1:8001/lookup/{input.serial}"
    assert tables["posted"]["json"]["callback"] == "http://127.0.0.1:8002/vendor-webhook/posted"
    assert tables["thin"]["poll"]["url"] == "GET http://127.0.0.1:8001/thin/{ref}"


@pytest.mark.parametrize(
    ("ending", "states"),
    [
        ("found", ["working", "working", "done"]),
        ("no_data", ["working", "working", "nothing"]),
        ("never", ["working"] * 3),
    ],
)
def test_a_poll_is_answered_as_planned(monkeypatch, ending, states):
    monkeypatch.setattr("chaos.polls.desk.poll_mood_of", lambda *_: "ok")
    desk = Desk(SEED)
    call = desk.take_in(call_of(ending=ending, pendings=2), serial=5)
    polls = [desk.poll(call.content["id"], "") for _ in range(3)]
    assert [poll.content["state"] for poll in polls] == states
    assert (desk.poll(call.content["id"], "500").status, polls[0].status) == (500, 200)


def test_only_genuine_callbacks_are_signed_by_the_vendor():
    call = Desk(SEED).take_in(call_of("posted", "forged"), serial=5)
    messages = [message for _, message in pen.messages(call, SECRET)]

    def is_signed(message):
        found = re.fullmatch(r"t=(\d+),v1=(\w+)", message.headers.get("X-Signature", ""))
        if not found or int(found[1]) < datetime.now(UTC).timestamp() - 300:
            return False
        signed = f"{found[1]}.".encode() + message.body
        return hmac.digest(SECRET.encode(), signed, "sha256").hex() == found[2]

    assert [message.kind for message in messages if is_signed(message)] == ["genuine"]
    assert len(messages) == 5
    assert all("forged" in message.body.decode() for message in messages[:-1])
    assert json.loads(messages[-1].body)["id"] == call.reference


@pytest.mark.parametrize(
    ("callback", "count"), [("lost", 0), ("duplicate", 3), ("late", 1), ("normal", 1)]
)
def test_callbacks_come_as_often_as_planned(callback, count):
    call = Desk(SEED).take_in(call_of("thin", callback), serial=5)
    messages = [message for _, message in pen.messages(call, SECRET)]
    assert (len(messages), any(b"result" in message.body for message in messages)) == (count, False)


def story_of(*polled, vendor="polled", called=0.0, **fields):
    """Return the story of a waiting job that was polled at these times, each with its row."""
    job = Job(id=JOB, vendor=vendor, input={"serial": 5}, attempt=1, created_at=CREATED_AT)
    for name, value in fields.items():
        setattr(job, name, value)
    story, began = Story(job), CREATED_AT.timestamp()
    story.attempts.append(row_of(called, "pending", number=1))
    story.arrivals.append(ledger.Arrival(began + called, vendor, JOB, 1, 5, "ok", None))
    for number, at in enumerate(polled, 1):
        story.polls.append(ledger.Poll(began + at, vendor, JOB, 1, number, "ok"))
        story.poll_rows.append(row_of(at - 0.01, "pending", number=1))
    return story


def row_of(seconds, outcome, **fields):
    at = CREATED_AT + timedelta(seconds=seconds)
    fields |= {"started_at": at, "ended_at": at}
    return Attempt(job=JOB, run=1, outcome=outcome, worker=WORKER, **fields)


def found(check, story, *, ends=()):
    return [words for _, words in check(History(SEED, [], {JOB: story}, Journal(ends=list(ends))))]


def test_a_poll_without_an_attempt_is_found():
    story = story_of(2.0, 4.0)
    assert found(checks.unexplained, story) == []
    del story.poll_rows[1]
    assert "without an attempt" in found(checks.unexplained, story)[0]


def test_a_poll_without_an_end_is_explained_by_the_death_of_its_worker():
    story = story_of(2.0)
    story.poll_rows[0].outcome = UNKNOWN
    assert "was healthy" in found(checks.unexplained, story)[0]
    assert found(checks.unexplained, story, ends=[End(1.0, 77, "worker-1", "SIGKILL")]) == []


@pytest.mark.parametrize(
    ("vendor", "called_back", "polled", "count"),
    [
        ("polled", None, (2.0, 4.0, 6.1), 0),
        ("polled", None, (1.0, 3.5), 1),
        ("polled", None, (2.0, 3.0), 1),
        ("polled", None, (14.9, 15.1), 0),  # the last one, at the deadline
        ("thin", None, (4.0,), 1),
        ("thin", 3.9, (4.0, 9.2), 0),
        ("thin", 3.9, (4.0, 5.0), 1),
        ("thin", 12.0, (4.0,), 1),
        ("confirmed", 3.9, (4.0, 9.2), 0),
        ("confirmed", 3.9, (4.0, 8.0), 1),
        ("posted", 3.9, (4.0,), 1),
    ],
)
def test_polls_that_come_too_soon_are_found(vendor, called_back, polled, count):
    story = story_of(*polled, vendor=vendor)
    if called_back is not None:
        at = CREATED_AT.timestamp() + called_back
        story.callbacks.append(ledger.Callback(at, vendor, JOB, 1, "genuine", 200))
    assert len(found(checks.too_often, story)) == count


@pytest.mark.parametrize(
    ("code", "last", "count"),
    [
        ("poll_gave_up", "vendor_error", 0),
        ("poll_gave_up", "pending", 1),
        ("poll_gave_up", "found", 1),
        ("no_credits", "no_credits", 1),
        ("vendor_error", "vendor_error", 1),
    ],
)
def test_failures_of_waiting_jobs_need_a_reason(monkeypatch, code, last, count):
    monkeypatch.setattr("chaos.polls.checks.plan_of", lambda *_: Plan())
    story = story_of(2.0, error_code=code)
    story.poll_rows[-1].outcome = last
    assert len(list(checks.wrong_failure(History(SEED, [], {}, Journal()), story))) == count


def test_a_callback_whose_reference_is_known_needs_a_job():
    story = story_of()
    story.attempts[0].vendor, story.attempts[0].vendor_reference = "posted", "r-1"
    story.stored_callbacks.append(Callback(verdict=Verdict.LATE))
    history = History(SEED, [], {JOB: story}, Journal())
    history.unmatched = [Callback(vendor="posted", vendor_reference="r-2")]
    assert list(checks.never_matched(history)) == []
    history.unmatched[0].vendor_reference = "r-1"
    story.stored_callbacks[0].verdict = ""
    assert len(list(checks.never_matched(history))) == 2
