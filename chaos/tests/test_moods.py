"""The campaign's vendor over real sockets: what each mood does, and its error code."""

import json
import math
import time
from email.utils import parsedate_to_datetime

import pytest

from chaos import moods
from chaos.calls import STATUSES
from chaos.ledger import Answered
from chaos.plans import EVERY_MOOD, answer_of, error_of, plan_of
from chaos.tests.conftest import JOB, SEED, called, events, open_call, serial_with
from harness.waiting import wait_for
from vendors.base import VendorError
from vendors.http.call import post_json


def test_a_good_answer_holds_the_one_right_answer(vendor):
    status, _, body = called(vendor)
    assert (status, json.loads(body)) == (
        200,
        {"name": "Job", "serial": serial_with(), "answer": answer_of(SEED, JOB)},
    )
    assert answer_of(SEED, JOB) != answer_of(SEED, f"{JOB}:2") != answer_of(SEED + 1, f"{JOB}:2")


@pytest.mark.parametrize(("mood", "status"), STATUSES.items())
def test_each_refusal_has_its_status(vendor, mood, status):
    assert called(vendor, mood)[0] == status


def test_retry_after_has_both_forms(vendor):
    assert called(vendor, "429_seconds")[1]["Retry-After"] == "1"
    headers = called(vendor, "429_date")[1]
    wait = parsedate_to_datetime(headers["Retry-After"]) - parsedate_to_datetime(headers["Date"])
    assert 1 <= wait.total_seconds() <= 3


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("mood", sorted(EVERY_MOOD - {"slow"}))
def test_each_mood_leads_to_the_error_in_the_plans(vendor, receiver, mood, is_async):
    vendor.impose("acme", mood, 60)
    given = {
        "name": "Job",
        "serial": serial_with(),
        **({"callback_url": receiver.callback_url()} if is_async else {}),
    }
    url, headers = f"http://127.0.0.1:{vendor.port}/acme", {"Idempotency-Key": JOB}
    timeout_seconds = 0.2 if mood in ("timeout", "hang", "drip") else 10
    try:
        reply = post_json(
            url, given, headers=headers, timeout_seconds=timeout_seconds, needs_body=not is_async
        )
        code = "" if is_async or reply.json_object()["answer"] == answer_of(SEED, JOB) else "wrong"
    except VendorError as error:
        code = error.code
    assert code == error_of(mood, is_async=is_async)


def test_unusual_results_are_encoded_as_json(vendor):
    assert b"\\u0000" in called(vendor, "nul")[2]
    assert b"\\ud800" in called(vendor, "surrogate")[2]
    assert json.loads(called(vendor, "big_integer")[2])["big"] == 2**70
    assert b"[" * 500 in called(vendor, "deep")[2]
    assert math.isnan(json.loads(called(vendor, "nan")[2])["nan"])


def test_a_reset_comes_before_the_response_or_after_half_of_it(vendor):
    with pytest.raises(ConnectionResetError):
        called(vendor, "reset")
    answer = open_call(vendor, "reset_midway").getresponse()
    half = answer.read1(int(answer.headers["Content-Length"]) // 2)
    assert half.startswith(b'{"name"')
    with pytest.raises(ConnectionResetError):
        answer.read()


def test_a_body_drips_or_is_endless(vendor, monkeypatch):
    monkeypatch.setattr(moods, "DRIP_SECONDS", 0.05)
    since, answer = time.monotonic(), open_call(vendor, "drip").getresponse()
    assert [answer.read1(100) for _ in range(4)] == [b"{", b'"', b"n", b"a"]
    assert time.monotonic() - since >= 0.15
    assert len(called(vendor, "endless")[2]) == moods.ENDLESS_BYTES


@pytest.mark.parametrize("mood", ["timeout", "hang"])
def test_a_hanging_call_gets_no_response(vendor, mood):
    with pytest.raises(TimeoutError):
        called(vendor, mood, timeout_seconds=0.2)
    vendor.stopped.set()
    [answered] = wait_for(lambda: events(vendor, Answered), "the ledger entry of the answer")
    assert (answered.status, answered.whole, answered.charged) == (None, False, True)


def test_a_slow_answer_is_correct(vendor):
    quickest = min(range(1, 1000), key=lambda serial: plan_of(SEED, serial, "acme").slow_seconds)
    since = time.monotonic()
    assert called(vendor, "slow", serial=quickest)[0] == 200
    assert time.monotonic() - since >= 0.5
