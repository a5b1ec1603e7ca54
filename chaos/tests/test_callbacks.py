"""The callbacks of the campaign's vendor, over real sockets: when, how often, and forged ones."""

import json
import socket
from datetime import UTC, datetime

import pytest

from chaos import callbacks, ledger, plans
from chaos.calls import Call
from chaos.ledger import Answered, Arrival, Callback
from chaos.plans import Plan, answer_of
from chaos.tests.conftest import JOB, OTHER, SECRET, SEED, called, events, serial_with
from harness.vendor.scripted import Answer, in_turn
from harness.waiting import wait_for
from webhooks import signatures


def called_back(vendor, posts):
    """Wait for `posts` callbacks, and return kind and status of each from the ledger."""
    wait_for(
        lambda: len(events(vendor, Callback)) >= posts and vendor.postman.open == 0,
        f"{posts} posts of callbacks",
    )
    return [(event.kind, event.status) for event in events(vendor, Callback)]


def test_a_callback_delivers_the_result(vendor, receiver):
    status, _, body = called(vendor, callback_url=receiver.callback_url())
    assert (status, json.loads(body)) == (202, {"accepted": True})
    assert called_back(vendor, 1) == [("genuine", 200)]
    [arrival] = receiver.arrivals
    assert receiver.callback_url().endswith(arrival.path)
    assert arrival.body["answer"] == answer_of(SEED, JOB)


def test_a_call_that_did_no_work_has_no_callback(vendor, receiver):
    for mood in sorted(plans.NO_WORK - {"reset"}):
        called(vendor, mood, callback_url=receiver.callback_url())
    assert vendor.postman.open == 0
    called(vendor, "500_after_work", callback_url=receiver.callback_url())
    assert called_back(vendor, 1) == [("genuine", 200)]


def test_a_callback_is_posted_again_until_it_is_accepted(vendor, receiver, monkeypatch):
    assert sum(callbacks.RETRY_SECONDS) >= 90
    monkeypatch.setattr(callbacks, "RETRY_SECONDS", (0.01,) * 5)
    receiver.answer = in_turn(Answer(503), Answer(302), Answer(401))
    called(vendor, callback_url=receiver.callback_url())
    assert called_back(vendor, 3) == [("genuine", 503), ("genuine", 302), ("genuine", 401)]
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        called(vendor, callback_url=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        assert called_back(vendor, 9)[3:] == [("genuine", "ConnectionRefusedError")] * 6


def test_an_early_callback_is_answered_before_the_call(vendor, receiver):
    status = called(vendor, serial=serial_with("early"), callback_url=receiver.callback_url())[0]
    assert (status, len(receiver.arrivals)) == (202, 1)
    wait_for(lambda: events(vendor, Answered), "the answer to be written down")
    assert [type(event) for event in ledger.read_ledger(vendor.path)] == [
        Arrival,
        Callback,
        Answered,
    ]


@pytest.mark.parametrize(("callback", "posts"), [("duplicate", 3), ("replayed", 2)])
def test_repeated_callbacks_are_identical(vendor, receiver, monkeypatch, callback, posts):
    monkeypatch.setattr(callbacks, "REPLAYED_SECONDS", 0.1)
    monkeypatch.setattr(callbacks, "REPEAT_SECONDS", 0.1)
    serial = serial_with(callback, vendor="signed")
    called(
        vendor, slug="signed", serial=serial, callback_url=receiver.callback_url(vendor="signed")
    )
    assert called_back(vendor, posts) == [("genuine", 200)] * posts
    sent = {(each.path, each.headers["webhook-signature"], each.raw) for each in receiver.arrivals}
    assert len(sent) == 1


def test_garbage_is_posted_before_the_genuine_callback(vendor, receiver):
    receiver.answer = in_turn(Answer(400), Answer(200))
    called(vendor, serial=serial_with("garbage"), callback_url=receiver.callback_url())
    assert called_back(vendor, 2) == [("garbage", 400), ("genuine", 200)]
    assert [type(arrival.body) for arrival in receiver.arrivals] == [list, dict]


def test_forged_callbacks_are_posted_with_a_genuine_one(vendor, receiver, monkeypatch):
    monkeypatch.setattr(callbacks, "FORGED_SECONDS", 0.1)
    called(
        vendor, "503", slug="signed", key=OTHER, callback_url=receiver.callback_url(OTHER, "signed")
    )
    vendor.impose("signed", "", 0)
    called(
        vendor,
        slug="signed",
        serial=serial_with("forged", "signed"),
        callback_url=receiver.callback_url(vendor="signed"),
    )
    kinds = ("garbage_token", "no_token", "other_token", "other_url", "signature")
    assert sorted(called_back(vendor, 6)) == [
        *((f"forged_{kind}", 200) for kind in kinds),
        ("genuine", 200),
    ]
    bare, other = (f"/vendor-webhook/signed/{job}" for job in (JOB, OTHER))
    asked = [
        (bare, ""),
        (bare, "1.1.garbage"),
        (bare, "1.3.of-2"),
        (other, "1.3.of-1"),
        (bare, "1.3.of-1"),
    ]
    forged = [each.path for each in receiver.arrivals if each.body.get("forged")]
    assert sorted(path.removesuffix("?").partition("?token=")[::2] for path in forged) == sorted(
        asked
    )


def messages(vendor, callback, slug="acme"):
    """Return the messages for a call with such a callback, each with its delay."""
    url = f"http://127.0.0.1:9/vendor-webhook/{slug}/{JOB}?token=1.1.abc"
    plan = Plan(("500_after_work",) if callback == "out_of_order" else (), callback)
    return vendor._pen.messages(Call(slug, JOB, 1, plan.mood_of(1, 1), plan, {"name": "Job"}, url))


def is_signed(message):
    try:
        return bool(signatures.verify([SECRET], message.headers, message.body, datetime.now(UTC)))
    except signatures.RefusedError:
        return False


def test_only_the_message_with_a_forged_signature_has_a_wrong_one(vendor):
    of = {message.kind: is_signed(message) for _, message in messages(vendor, "forged", "signed")}
    assert {kind for kind, signed in of.items() if not signed} == {"forged_signature"}
    assert not any(message.headers.get("webhook-id") for _, message in messages(vendor, "forged"))


def test_callbacks_have_the_delay_of_their_kind(vendor):
    assert messages(vendor, "lost") == []
    [(late_seconds, _)], [(held_seconds, _)] = (
        messages(vendor, "late"),
        messages(vendor, "out_of_order"),
    )
    # The next call follows within a second, and its callback within another.
    assert late_seconds > 15 > held_seconds > 2
    *forged, (seconds, genuine) = messages(vendor, "forged")
    assert ({seconds for seconds, _ in forged}, seconds, genuine.kind) == ({0.0}, 1.0, "genuine")
