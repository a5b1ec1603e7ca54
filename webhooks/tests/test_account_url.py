"""Callbacks to the URL of a vendor's whole account: the vendor's reference says which job it is."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from jobs.callbacks import caps
from jobs.callbacks.apply import apply_for_references
from jobs.callbacks.retry_unmatched import UnmatchedRetries
from jobs.models import Attempt, Callback, Job, Kind, Verdict
from jobs.queue.clock import redis_clock
from jobs.recovery.polls import add_due_polls
from jobs.tests.polling import PollingWorker
from jobs.tests.tallies.counted import counted
from jobs.worker.polls import LEASE_MARGIN_SECONDS
from tests.plans import plan_of, reads_of
from vendors.base import Accepted
from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.pauses import UNPAID
from webhooks.tests.adapters import Referring
from webhooks.tests.vendor_proofs import VARIABLE, fullenrich

SECRET = "s3cret of acme"
PROOF = {"hmac": "sha1", "header": "X-Signature-SHA1", "secret_env": VARIABLE}
POLL = {"every": "1h", "give_up": "1day"}
URL = "/vendor-webhook/acme"


@pytest.fixture
def vendor(make_vendor, monkeypatch):
    monkeypatch.setenv(VARIABLE, SECRET)
    return make_vendor(adapter="adapters.callbacks.Referring", definition={"callback": PROOF})


@pytest.fixture
def polled(vendor):
    """The same vendor, polled once an hour."""
    vendor.definition = {"callback": PROOF, "poll": POLL}
    vendor.save()
    return vendor


@pytest.fixture
def make_waiting(make_job):
    """Return a function that makes a job which waits for the answer to a reference."""

    def make(reference="ref-1", **fields):
        fields = {"status": "waiting", "attempt": 1, "vendor_reference": reference, **fields}
        job = make_job(**fields)
        call(job, reference)
        return job

    return make


def call(job, reference, number=1, run=1, **fields):
    at = datetime.now(UTC)
    row = {"worker": "w", "started_at": at, "ended_at": at, "outcome": "pending", **fields}
    row |= {"job": job.pk, "vendor": "acme", "number": number, "run": run}
    return Attempt.objects.create(vendor_reference=reference, **row)


@pytest.fixture
def send(client):
    def send(payload, secret=SECRET, **headers):
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        headers = {**fullenrich(body, secret, 0), **headers}
        answer = client.post(URL, body, content_type="application/json", headers=headers)
        return answer.status_code, answer.json().get("code") or answer.json()["status"]

    return send


APPLIED, UNMATCHED, LATE = (
    (200, "applied"),
    (202, "unmatched"),
    (200, "late"),
)
RESULT = {"ref": "ref-1", "result": {"name": "Jane"}, "cost": 2}


def status(job):
    job.refresh_from_db()
    return job.status


def test_after_the_answer_it_ends_the_job_of_its_reference(
    vendor, make_waiting, send, django_capture_on_commit_callbacks
):
    job, other = make_waiting(), make_waiting("ref-2")
    with django_capture_on_commit_callbacks(execute=True):
        assert send(RESULT) == APPLIED
    assert (status(job), job.result, status(other)) == ("complete", {"name": "Jane"}, "waiting")
    callback = Callback.objects.get()
    assert (callback.job, callback.run, callback.attempt) == (job.pk, 1, 1)
    attempt = Attempt.objects.get(job=job.pk)
    assert (attempt.cost, attempt.confidence) == (2, 0.5)
    assert (counted("acme").done, counted("acme").cost) == (1, 2)
    assert send(RESULT) == APPLIED
    assert Callback.objects.get().times_received == 2
    assert send({**RESULT, "cost": 3}) == LATE


@pytest.mark.sqlite
@pytest.mark.parametrize("cost", [10**400, "much"])
def test_a_cost_that_is_no_number_is_left_out(vendor, make_waiting, send, cost):
    job = make_waiting()
    assert send({**RESULT, "cost": cost}) == APPLIED
    attempt = Attempt.objects.get(job=job.pk)
    assert (attempt.cost, attempt.confidence) == (None, 0.5)


@pytest.mark.parametrize("found_by", ["worker", "sweep", "repeat"])
def test_before_the_answer_it_waits_for_its_reference(vendor, make_waiting, send, found_by, caplog):
    with caplog.at_level("INFO"):
        assert send(RESULT) == UNMATCHED
    assert "from vendor acme for a reference that no job has yet is unmatched" in caplog.text
    assert "ref-1" not in caplog.text
    job = make_waiting()
    if found_by == "repeat":
        assert send(RESULT) == APPLIED
    elif found_by == "sweep":
        assert UnmatchedRetries().step(redis_clock.now()) is False
    else:
        apply_for_references(vendor, ["ref-0", "ref-1"], redis_clock.now())
    assert (status(job), Callback.objects.get().verdict) == ("complete", "applied")


def test_the_reference_may_be_in_a_header(vendor, make_waiting, send):
    job = make_waiting()
    assert send({"result": 1}, **{"X-Ref": "ref-1"}) == APPLIED
    assert status(job) == "complete"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ((RESULT, "another"), (401, "unauthorized")),
        (({"result": 1},), (400, "no_reference")),
        (({"ref": "", "result": 1},), (400, "no_reference")),
        (({"ref": "x" * 256},), (400, "no_reference")),
        (({"ref": 7},), (400, "no_reference")),
        (({"ref": "\ud800"},), (400, "no_reference")),
        ((b"[]",), (400, "not_an_object")),
        ((b'{"ref": "ref-1", "result": 1, "result": 2}',), (200, "unreadable")),
    ],
)
@pytest.mark.sqlite
def test_what_is_refused_is_not_stored(vendor, make_waiting, send, sent, answer):
    job = make_waiting()
    assert send(*sent) == answer
    assert (status(job), Callback.objects.exists()) == ("waiting", answer[0] == 200)


@pytest.mark.sqlite
def test_refused_ones_are_counted_for_the_vendor(vendor, send):
    send(RESULT, "another")
    send({"result": 1})
    assert counted("acme").events == {"callbacks_refused": 2}


@pytest.mark.sqlite
def test_only_vendors_with_such_callbacks_and_a_proof_have_the_url(make_vendor, client, send):
    make_vendor(adapter="async")
    assert send(RESULT) == (404, "unknown_vendor")
    Vendor.objects.update(adapter="adapters.callbacks.Referring")
    catalogue.forget()
    assert send(RESULT) == (401, "unauthorized")
    Vendor.objects.update(adapter="async", definition={"callback": {"reference": "body.ref"}})
    catalogue.forget()
    assert send(RESULT) == (401, "unauthorized")
    answer = client.get(URL)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.sqlite
def test_no_csrf_token_is_needed_and_a_broken_adapter_asks_for_a_repeat(
    vendor, make_waiting, monkeypatch, caplog
):
    make_waiting()
    body = json.dumps(RESULT).encode()
    sender = Client(enforce_csrf_checks=True)

    def post():
        headers = fullenrich(body, SECRET, 0)
        return sender.post(URL, body, content_type="text/plain", headers=headers).status_code

    with monkeypatch.context() as patch:
        patch.setattr(Referring, "callback_reference", lambda *args: {}["secret name"])
        assert post() == 500
    assert "callback_reference failed with KeyError at" in caplog.text
    assert "secret name" not in caplog.text
    assert post() == 200


def test_of_several_jobs_it_is_for_the_newest_open_one(vendor, make_waiting, send):
    oldest, newest = make_waiting(), make_waiting()
    make_waiting(status="complete")
    assert send(RESULT) == APPLIED
    assert (status(oldest), status(newest)) == ("waiting", "complete")


def test_it_answers_the_attempt_that_named_the_reference(vendor, make_job, send):
    retried = make_job(status="waiting", attempt=2, vendor_reference="ref-2")
    call(retried, "ref-1")
    call(retried, "ref-2", number=2)
    assert send({"ref": "ref-1", "error": "vendor_error"}) == LATE
    assert status(retried) == "waiting"
    assert send(RESULT) == APPLIED  # it was paid for
    rerun = make_job(status="queued", attempt=1, run=2, vendor_reference="ref-9")
    call(rerun, "ref-9")
    assert send({**RESULT, "ref": "ref-9"}) == LATE


@pytest.mark.sqlite
def test_unmatched_ones_are_capped_and_known_ones_are_not(vendor, make_waiting, send, monkeypatch):
    monkeypatch.setattr(caps, "MAX_UNMATCHED", 2)
    assert {send({"ref": f"unknown-{number}"}) for number in range(5)} == {UNMATCHED}
    assert Callback.objects.count() == 2
    job = make_waiting()
    assert send(RESULT) == APPLIED
    assert status(job) == "complete"


@pytest.mark.parametrize("table", ["jobs_job", "jobs_attempt", "jobs_callback"])
@pytest.mark.sqlite
def test_references_are_found_by_their_index(vendor, make_waiting, send, table):
    with reads_of(table) as reads:
        send(RESULT)
        make_waiting()
        apply_for_references(vendor, ["ref-1"], redis_clock.now())
    reads = [read for read in reads if 'vendor_reference" ' in read and "IN" in read]
    assert reads
    assert all(f"{table[5:]}_vendor_reference" in plan_of(read) for read in reads)


def test_a_thin_callback_makes_the_poll_due(polled, make_waiting, send):
    far = redis_clock.now() + timedelta(hours=1)
    job = make_waiting(next_poll_at=far, deadline_at=far)
    before = redis_clock.now()
    assert send({"ref": "ref-1", "state": 1}) == (200, "polled")
    job.refresh_from_db()
    assert (job.status, job.next_poll_at < before + timedelta(seconds=5)) == ("waiting", True)
    first = job.next_poll_at
    assert send({"ref": "ref-1", "state": 1}) == (200, "polled")  # a repeat
    job.refresh_from_db()
    assert job.next_poll_at == first
    assert send(RESULT) == APPLIED
    assert send({"ref": "ref-1", "state": 2}) == LATE


@pytest.mark.sqlite
def test_a_thin_callback_polls_no_job_without_the_reference_to_ask_for(polled, make_waiting, send):
    polled.definition = {**polled.definition, "poll": {**POLL, "url": "GET http://127.0.0.1:9/"}}
    polled.save()
    catalogue.forget()
    job = make_waiting()
    Job.objects.update(vendor_reference="")  # only its attempt names it
    assert send({"ref": "ref-1", "state": 1}) == (200, "polled")
    job.refresh_from_db()
    assert (job.status, job.next_poll_at) == ("waiting", None)


@pytest.mark.usefixtures("redis_client")
def test_a_thin_callback_during_a_poll_asks_for_another_one_after_it(polled, make_waiting, send):
    now, hour = redis_clock.now(), timedelta(hours=1)
    job = make_waiting(next_poll_at=now, deadline_at=now + hour, started_at=now)
    worker = PollingWorker()
    add_due_polls()
    [poll] = worker.claim()
    assert send({"ref": "ref-1", "state": 1}) == (200, "polled")
    job.refresh_from_db()
    after = (job.next_poll_at - poll.job.started_at).total_seconds()
    assert polled.timeout_seconds < after < polled.timeout_seconds + LEASE_MARGIN_SECONDS
    poll.answer = Accepted()
    worker.finish([poll])
    assert Job.objects.get(pk=job.pk).next_poll_at == job.next_poll_at


def test_without_a_poll_a_thin_callback_is_unreadable(vendor, make_waiting, send):
    make_waiting()
    assert send({"ref": "ref-1", "state": 1}) == (200, "unreadable")


def test_confirm_believes_nothing_and_polls_once_a_minute(make_vendor, make_waiting, client):
    make_vendor(
        adapter="adapters.callbacks.Referring",
        definition={"callback": {"confirm": True}, "poll": POLL},
    )
    now = redis_clock.now().replace(microsecond=0)
    far, minute = now + timedelta(hours=1), timedelta(seconds=60)
    job = make_waiting(next_poll_at=far, deadline_at=far)

    def post(number):
        body = json.dumps({**RESULT, "cost": number})
        answer = client.post(URL, body, content_type="application/json")
        job.refresh_from_db()
        assert (answer.json(), job.status) == ({"status": "polled"}, "waiting")
        return job.next_poll_at - now

    assert post(1) < timedelta(seconds=6)
    lease = now + timedelta(seconds=30)
    Job.objects.filter(pk=job.pk).update(next_poll_at=lease)  # as the sweep does
    assert post(2) == lease - now  # the entry that it added stays valid
    polled_at = now + timedelta(seconds=90)
    call(job, "", kind=Kind.POLL, started_at=polled_at)
    Job.objects.filter(pk=job.pk).update(next_poll_at=far)
    assert post(3) == pytest.approx(polled_at - now + minute, abs=timedelta(milliseconds=2))
    assert set(Callback.objects.values_list("verdict", flat=True)) == {Verdict.POLLED}


def test_no_credits_queues_the_job_again_and_pauses_the_vendor(vendor, make_waiting, send, caplog):
    caplog.set_level(logging.ERROR)
    job = make_waiting()
    assert send({"ref": "ref-1", "error": "no_credits"}) == APPLIED
    assert (status(job), job.failures, job.not_before) == ("queued", 0, None)
    paused = Vendor.objects.get()
    assert (paused.paused, paused.pause_reason) == (True, UNPAID)
    assert UNPAID in caplog.text


@pytest.mark.sqlite
@pytest.mark.parametrize("code", ["rate_limited", "auth"])
def test_these_count_as_failures_and_pause_nothing(vendor, make_waiting, send, code):
    job = make_waiting()
    assert send({"ref": "ref-1", "error": code}) == APPLIED
    assert (status(job), job.failures, job.not_before is not None) == ("queued", 1, True)
    assert not Vendor.objects.get().paused
    last = make_waiting("ref-2", failures=4)
    assert send({"ref": "ref-2", "error": code}) == APPLIED
    assert (status(last), last.error_code) == ("failed", code)


@pytest.mark.sqlite
def test_after_a_poll_found_it_a_callback_is_late(polled, make_waiting, send):
    job = make_waiting(status="complete", result={"name": "Jane"}, outcome="found")
    call(job, "", kind=Kind.POLL, outcome="found")
    assert send(RESULT) == LATE


def test_the_sweep_goes_on_through_many_unmatched_ones(vendor, make_waiting, send, monkeypatch):
    monkeypatch.setattr("jobs.callbacks.retry_unmatched.CHUNK", 2)
    for number in range(5):
        send({**RESULT, "ref": f"ref-{number}"})
    job, retries = make_waiting("ref-0"), UnmatchedRetries()
    for _ in range(3):
        retries.step(redis_clock.now())
    assert status(job) == "complete"
    assert Callback.objects.filter(verdict=Verdict.UNMATCHED).count() == 4
