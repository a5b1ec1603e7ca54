"""Adapter http against real servers: polls, checks and callbacks."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from harness.vendor.scripted import Answer, VendorServer
from vendors.base import ANY_KEY, Accepted, Done, Outcome, VendorError
from vendors.http.exchanges import watched
from vendors.models import Credential
from vendors.tests.definitions.calling import CALL, POLLED, adapter_of, answered

POLL = {"url": "GET SERVER/work/{ref}", "pending": [{"status": 400}], "result": "body.answer"}


@pytest.mark.parametrize(
    ("keys", "answer", "expected"),
    [
        ({"reference": "body.id"}, Answer(200, {"id": "w1"}), Accepted("w1")),
        ({"reference": "body.id"}, Answer(201, {"id": 17}), Accepted("17")),
        ({"poll": {}}, Answer(202, {"x": 1}), Accepted("")),
        ({"poll": {}}, Answer(200, {"x": 1}), Done({"x": 1})),
        (
            {"poll": {}, "outcomes": [{"when": "!(body.ready)", "is": "pending"}]},
            Answer(200, {"ready": None}, (("Retry-After", "9"),)),
            Accepted("", None, timedelta(seconds=9)),
        ),
        (
            {"reference": "body.id", "outcomes": [{"when": "body.hit", "is": "found"}]},
            Answer(200, {"hit": 1}),
            Done({"hit": 1}),
        ),
    ],
)
def test_pending(
    keys: dict[str, Any], answer: Answer, expected: Any, vendor: Callable[..., VendorServer]
) -> None:
    keys = {"poll": POLL, **keys} if "reference" in keys else keys
    assert adapter_of(vendor(answer), keys).call(CALL) == expected


@pytest.mark.parametrize("reference", [None, "", [1], "x" * 256])
def test_a_pending_answer_without_its_reference_is_not_paid_again(
    reference: Any, vendor: Callable[..., VendorServer]
) -> None:
    server = vendor(Answer(200, {"id": reference}))
    error = answered(lambda: adapter_of(server, {"reference": "body.id", "poll": POLL}).call(CALL))
    assert isinstance(error, VendorError)
    assert (error.code, error.permanent, error.outcome_known) == ("bad_reply", True, False)
    assert "`reference`" in error.message


def test_a_poll_asks_for_the_reference(vendor: Callable[..., VendorServer]) -> None:
    server = vendor(
        Answer(400, {}),
        Answer(202, {}),
        Answer(200, {"answer": 7, "likelihood": 3}),
        Answer(404, {}),
        Answer(503, {}),
    )
    keys = {"reference": "body.id", "result": "body.data", "confidence": "body.likelihood"}
    adapter = adapter_of(server, {**keys, "poll": POLL})
    answers = [answered(lambda: adapter.poll(POLLED)) for _ in range(5)]
    assert answers[:3] == [Accepted(), Accepted(), Done(7, confidence=3)]
    assert [getattr(error, "code", "") for error in answers[3:]] == [
        "invalid_input",
        "vendor_error",
    ]
    assert {(arrival.method, arrival.path, arrival.key) for arrival in server.arrivals} == {
        ("GET", "/work/w%201", "")
    }


@pytest.mark.parametrize(
    ("status", "outcome", "rule"),
    [
        ("CREDITS_INSUFFICIENT", "no_credits", "poll.restart[0]: when body.status != 'DONE'"),
        ("CANCELED", "vendor_error", "poll.restart[0]: when body.status != 'DONE'"),
    ],
)
def test_work_that_the_vendor_has_dropped_is_to_be_called_again(
    status: str, outcome: str, rule: str, vendor: Callable[..., VendorServer]
) -> None:
    keys = {
        "reference": "body.id",
        "outcomes": [{"when": "body.status == 'CREDITS_INSUFFICIENT'", "is": "no_credits"}],
        "poll": {**POLL, "restart": [{"when": "body.status != 'DONE'"}]},
    }
    adapter = adapter_of(vendor(Answer(200, {"status": status})), keys)
    with watched() as exchanges:
        error = answered(lambda: adapter.poll(POLLED))
    assert isinstance(error, VendorError)
    assert (error.code, error.restart, error.permanent) == (outcome, True, False)
    assert exchanges[0].rule.startswith(rule)


def test_a_poll_without_url_repeats_the_call(vendor: Callable[..., VendorServer]) -> None:
    server = vendor(Answer(202, {}), Answer(200, {"data": 1}))
    adapter = adapter_of(server, {"poll": {"every": "5s"}, "result": "body.data"})
    assert adapter.call(CALL) == Accepted()
    assert adapter.poll(CALL) == Done(1)
    assert [arrival.path for arrival in server.arrivals] == ["/p/J%2F1"] * 2
    assert [arrival.key for arrival in server.arrivals] == [CALL.idempotency_key, ""]


def test_a_check_proves_the_credential(vendor: Callable[..., VendorServer]) -> None:
    server = vendor(Answer(200, {"left": "12"}), Answer(401, {}), Answer(200, text="OK"))
    adapter = adapter_of(server, {"check": {"url": "GET SERVER/me", "credits": "body.left"}})
    assert adapter.check(ANY_KEY) == Done({"credits": 12})
    error = answered(lambda: adapter.check(ANY_KEY))
    assert isinstance(error, VendorError)
    assert error.code == "auth"
    assert server.arrivals[0].path == "/me"
    assert adapter.check(ANY_KEY) == Done({"credits": None})


def test_a_key_stands_where_the_credential_says(
    vendor: Callable[..., VendorServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = vendor(Answer(200, {"a": 1}))
    adapter = adapter_of(server, {"credential": "acme"})
    credential = {"header": "X-Key", "keys_env": ["VENDOR_ACME_KEY"]}
    adapter.vendor.credential = Credential(slug="acme", definition=credential)
    monkeypatch.setenv("VENDOR_ACME_KEY", "s3cret")
    adapter.call(CALL)
    assert server.arrivals[0].headers["x-key"] == "s3cret"
    monkeypatch.delenv("VENDOR_ACME_KEY")
    error = answered(lambda: adapter.call(CALL))
    assert isinstance(error, VendorError)
    assert error.code == "api_key_missing"
    assert len(server.arrivals) == 1


PROVEN = {"header": "X-Token", "secret_env": "VENDOR_ACME_SECRET"}


@pytest.mark.parametrize(
    ("callback", "payload", "expected"),
    [
        (PROVEN, {"data": 1, "cost": 2}, Done(1, cost=2)),
        ({**PROVEN, "result": "body.item"}, {"item": [1]}, Done([1])),
        (PROVEN, {"status": "empty"}, Done(None, Outcome.NO_DATA)),
        (PROVEN, {"status": "running"}, Accepted()),
        (PROVEN, {"status": "broke"}, "no_credits"),
        (PROVEN, {"other": 1}, "bad_reply"),
        ({**PROVEN, "thin": True}, {"status": "broke"}, Accepted()),
        ({"confirm": True}, {"data": 1}, Accepted()),
    ],
)
def test_callbacks(
    callback: dict[str, Any], payload: Any, expected: Any, vendor: Callable[..., VendorServer]
) -> None:
    keys = {
        "callback": callback,
        "poll": {"every": "5s"},
        "result": "body.data",
        "cost": "body.cost",
        "outcomes": [
            {"status": 200, "is": "auth"},  # about a status, so not about a callback
            {"when": "body.status == 'empty'", "is": "no_data"},
            {"when": "body.status == 'running'", "is": "pending"},
            {"when": "body.status == 'broke'", "is": "no_credits"},
        ],
    }
    answer = answered(lambda: adapter_of(vendor(Answer()), keys).read_callback(payload))
    assert (answer.code if isinstance(answer, VendorError) else answer) == expected


@pytest.mark.parametrize(
    ("reference", "payload", "found"),
    [
        ("body.event.id", {"event": {"id": "w1"}}, "w1"),
        ("body.event.id", {"event": {"id": 5}}, "5"),
        ("body.event.id", {"event": "w1"}, ""),
        ('headers."x-request-id"', {}, "h1"),
        ("body.event" + "|[@,@][]" * 20, {"event": [1]}, ""),
    ],
)
def test_the_reference_in_a_callback(
    reference: str, payload: Any, found: str, vendor: Callable[..., VendorServer]
) -> None:
    keys = {"reference": "body.id", "callback": {**PROVEN, "reference": reference}}
    adapter = adapter_of(vendor(Answer()), keys)
    assert adapter.callback_reference(payload, {"X-Request-Id": "h1"}) == found
