"""Adapter http against real servers: its requests, and each outcome of a call."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from harness.vendor.scripted import Answer, VendorServer
from harness.vendor.server import Server, answering, reply
from vendors.base import Call, Done, Outcome, VendorError
from vendors.http.exchanges import watched
from vendors.models import Vendor
from vendors.registry import make_adapter
from vendors.tests.definitions.calling import CALL, adapter_of, answered

SECRET = "personal-value"


def test_the_request_is_as_the_definition_says(vendor: Callable[..., VendorServer]) -> None:
    server = vendor(Answer(body={"data": {"name": "John"}, "likelihood": "8", "spent": 2}))
    keys = {
        "query": {"email": "{input.email}"},
        "headers": {"X-Source": "{job.id}"},
        "json": {"id": "{input.id}", "back": "{call.callback_url}", "none": "{input.none}"},
        "result": "body.data",
        "confidence": "body.likelihood",
        "cost": "body.spent",
    }
    adapter = adapter_of(server, keys, "PUT {url}p/{{input.id}}?x=1")
    assert adapter.call(CALL) == Done({"name": "John"}, cost=2, confidence=8)
    [arrival] = server.arrivals
    assert arrival.method == "PUT"
    assert arrival.path == "/p/J%2F1?x=1&email=john%40example.com"
    assert arrival.headers["x-source"] == CALL.job_id
    assert arrival.headers["content-type"] == "application/json"
    assert arrival.key == CALL.idempotency_key
    assert arrival.body == {"id": "J/1", "back": CALL.callback_url}


def test_forms_arrays_and_a_key_of_its_own(vendor: Callable[..., VendorServer]) -> None:
    server = vendor(Answer(body=[1]))
    keys: dict[str, Any] = {"form": {"e": "{input.email}"}, "headers": {"idempotency-key": "k"}}
    assert adapter_of(server, keys, "POST {url}").call(CALL) == Done([1])
    assert server.arrivals[0].raw.endswith(b"\r\n\r\ne=john%40example.com")
    assert server.arrivals[0].key == "k"
    adapter_of(server, {"json": ["{input.id}"]}, "POST {url}").call(CALL)
    assert server.arrivals[1].body == ["J/1"]


def test_a_value_that_would_leave_the_path_is_not_sent(
    vendor: Callable[..., VendorServer],
) -> None:
    server = vendor(Answer())
    for value in ("..", "", None, "a/../b", [1], "..;", ".%00", "a/..\t;v=1", " . "):
        call = Call(**{**vars(CALL), "input": {"id": value}})
        error = answered(lambda call=call: adapter_of(server, {}).call(call))
        assert isinstance(error, VendorError)
        assert (error.code, error.permanent) == ("invalid_input", True)
    assert server.visits == 0


RULES = [
    {"status": 404, "is": "no_data"},
    {"status": "4xx", "when": "body.code == 'out'", "is": "no_credits"},
    {"status": [403, 200], "when": "body.code == 'fast'", "is": "rate_limited"},
    {"status": 451, "is": "blocked"},
    {"when": "headers.\"x-error\" == 'key'", "is": "auth"},
    {"when": "body.code == 'busy'", "is": "vendor_error"},
    {"when": "body.code == 'late'", "is": "timeout"},
    {"when": "contains(body, 'maintenance')", "is": "vendor_error"},
    {"when": "body.valid == `false`", "is": "invalid_input"},
]


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (200, {"data": 0}, (), (Outcome.FOUND, "default")),
        (404, {"a": 1}, (), (Outcome.NO_DATA, "outcomes[0]")),
        (422, {"code": "out"}, (), (Outcome.NO_CREDITS, "outcomes[1]")),
        (200, {"code": "fast"}, (), (Outcome.RATE_LIMITED, "outcomes[2]")),
        (451, SECRET, (), (Outcome.BLOCKED, "outcomes[3]")),
        (200, {}, (("X-Error", "key"),), (Outcome.AUTH, "outcomes[4]")),
        (200, {"code": "busy"}, (), (Outcome.VENDOR_ERROR, "outcomes[5]")),
        (200, {"code": "late"}, (), (Outcome.TIMEOUT, "outcomes[6]")),
        (200, "in maintenance", (), (Outcome.VENDOR_ERROR, "outcomes[7]")),
        (200, {"valid": False}, (), (Outcome.INVALID_INPUT, "outcomes[8]")),
        (301, None, (), (Outcome.INVALID_INPUT, "default")),
        (400, {"code": SECRET}, (), (Outcome.INVALID_INPUT, "default")),
        (401, SECRET, (), (Outcome.AUTH, "default")),
        (402, None, (), (Outcome.NO_CREDITS, "default")),
        (403, [SECRET], (), (Outcome.AUTH, "default")),
        (408, None, (), (Outcome.VENDOR_ERROR, "default")),
        (425, None, (), (Outcome.VENDOR_ERROR, "default")),
        (403, None, (("Retry-After", "soon"),), (Outcome.AUTH, "default")),
        (503, None, (("Retry-After", ""),), (Outcome.VENDOR_ERROR, "default")),
        (429, None, (), (Outcome.RATE_LIMITED, "default")),
        (500, None, (), (Outcome.VENDOR_ERROR, "default")),
        (599, None, (), (Outcome.VENDOR_ERROR, "default")),
    ],
)
def test_the_first_rule_that_fits_decides_then_the_status(
    status: int,
    body: Any,
    headers: tuple[tuple[str, str], ...],
    expected: tuple[Outcome, str],
    vendor: Callable[..., VendorServer],
) -> None:
    server = vendor(Answer(status, body, headers))
    adapter = adapter_of(server, {"outcomes": RULES})
    with watched() as exchanges:
        answer = answered(lambda: adapter.call(CALL))
    assert exchanges[0].outcome == expected[0]
    assert exchanges[0].rule.startswith(f"{expected[1]}: ")
    if isinstance(answer, VendorError):
        _assert_fits(answer, *expected, status)
    else:
        assert isinstance(answer, Done)
        assert answer.outcome == expected[0]
        assert answer.result == (body if expected[0] == Outcome.FOUND else None)


def _assert_fits(error: VendorError, outcome: Outcome, rule: str, status: int) -> None:
    assert error.code == outcome
    assert error.permanent == (outcome in (Outcome.INVALID_INPUT, Outcome.BLOCKED))
    assert error.outage == (outcome in (Outcome.VENDOR_ERROR, Outcome.TIMEOUT))
    assert error.outcome_known == (outcome != Outcome.TIMEOUT)
    assert error.retry_after is None
    assert error.reply is not None
    assert f"status {status}" in error.message
    assert (rule in error.message) == (rule != "default")
    assert SECRET not in error.message


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, (("Retry-After", "7"),), timedelta(seconds=7)),
        (429, (("X-RateLimit-Reset", "30"),), timedelta(seconds=30)),
        (402, (("Retry-After", "864000"),), timedelta(days=10)),
        (402, (("X-RateLimit-Reset", "30"),), None),
        (503, (("Retry-After", "7"),), timedelta(seconds=7)),
        (500, (("Retry-After", "7"),), None),
        (401, (("Retry-After", "7"),), None),
    ],
)
def test_a_wait_is_kept_where_it_ends_a_pause(
    status: int,
    headers: tuple[tuple[str, str], ...],
    wait: timedelta | None,
    vendor: Callable[..., VendorServer],
) -> None:
    error = answered(lambda: adapter_of(vendor(Answer(status, {}, headers)), {}).call(CALL))
    assert isinstance(error, VendorError)
    assert error.retry_after == wait


def test_a_quota_that_is_used_up_has_a_known_reset(vendor: Callable[..., VendorServer]) -> None:
    server = vendor(Answer(429, {}, (("X-Rate-Limit-Reset", "900000"),)))
    keys = {"outcomes": [{"status": 429, "is": "no_credits"}]}
    error = answered(lambda: adapter_of(server, keys).call(CALL))
    assert isinstance(error, VendorError)
    assert (error.code, error.retry_after) == ("no_credits", timedelta(seconds=900_000))


def test_a_found_answer_without_its_result_is_not_paid_again(
    vendor: Callable[..., VendorServer],
) -> None:
    server = vendor(Answer(body={"data": None}))
    error = answered(lambda: adapter_of(server, {"result": "body.data"}).call(CALL))
    assert isinstance(error, VendorError)
    assert (error.code, error.permanent, error.outcome_known) == ("bad_reply", True, True)
    assert "`result`" in error.message


def test_too_much_work_is_not_paid_again(vendor: Callable[..., VendorServer]) -> None:
    server = vendor(Answer(body={"data": [1]}))
    keys = {"result": "body.data" + "|[@,@][]" * 20}
    error = answered(lambda: adapter_of(server, keys).call(CALL))
    assert isinstance(error, VendorError)
    assert (error.code, error.permanent) == ("bad_reply", True)


@pytest.mark.parametrize(
    ("body", "result"), [(b"plain", "plain"), (b"[1]", [1]), (b"\xff", "\ufffd"), (b'"t"', "t")]
)
def test_a_body_is_json_or_text(body: bytes, result: Any, serve: Callable[..., Server]) -> None:
    server = serve(answering(reply(body=body)))
    assert adapter_of(server, {"result": "body"}).call(CALL) == Done(result)
    error = answered(lambda: adapter_of(server, {"result": "body.data"}).call(CALL))
    assert isinstance(error, VendorError)


@pytest.mark.parametrize(
    ("text", "keys", "words"),
    [
        ("<html>blocked</html>", {}, 'set `result` to "body"'),
        ('{"ssn": "123",}', {}, "not JSON"),
        ('{"name": "John", "x": NaN}', {"poll": {}}, "not JSON"),
        ("name;ssn\nJohn;123", {"result": "split(body, ';')[2]"}, "names a redacted field"),
    ],
)
def test_a_body_that_is_not_json_is_no_result(
    text: str, keys: dict[str, Any], words: str, vendor: Callable[..., VendorServer]
) -> None:
    adapter = adapter_of(vendor(Answer(text=text)), keys, redact="ssn")
    error = answered(lambda: adapter.call(CALL))
    assert isinstance(error, VendorError)
    assert (error.code, error.permanent, error.outcome_known) == ("bad_reply", True, True)
    assert words in error.message


def test_a_faulty_definition_makes_no_adapter() -> None:
    vendor = Vendor(slug="acme", adapter="http", url="GET https://a.test/", definition={"x": 1})
    with pytest.raises(ValueError, match="x: Unknown key"):
        make_adapter(vendor)


def test_an_unfinished_answer_is_an_error(serve: Callable[..., Server]) -> None:
    def talk(visit: Any) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")

    error = answered(lambda: adapter_of(serve(talk), {}).call(CALL))
    assert isinstance(error, VendorError)
    assert error.code == "connection_lost"
