"""The adapter `http` against real servers: each outcome of a call, a poll, a check, a callback."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from harness.vendor.scripted import Answer, VendorServer, in_turn
from harness.vendor.server import Server, answering, reply
from vendors.base import Accepted, Adapter, Call, Done, Outcome, VendorError
from vendors.http.exchanges import watched
from vendors.models import Credential, Vendor
from vendors.registry import make_adapter

CALL = Call(
    job_id="0190-job",
    input={"id": "J/1", "email": "john@example.com"},
    idempotency_key="0190-job:2",
    callback_url="http://127.0.0.1:9/vendor-webhook/acme/0190-job?token=t",
)
POLLED = Call(**{**vars(CALL), "reference": "w 1"})
SECRET = "personal-value"


def adapter_of(
    server: Server, keys: dict[str, Any], address: str = "GET {url}p/{{input.id}}", **fields: Any
) -> Adapter:
    text = json.dumps(keys).replace("SERVER/", server.url)
    vendor = Vendor(
        slug="acme",
        adapter="http",
        url=address.format(url=server.url),
        timeout_seconds=5,
        definition=json.loads(text),
        **fields,
    )
    vendor.credential = None
    return make_adapter(vendor)


def answered(method: Callable[[], object]) -> object:
    try:
        return method()
    except VendorError as error:
        return error


@pytest.fixture
def vendor(request: pytest.FixtureRequest) -> Callable[..., VendorServer]:
    def start(*answers: Answer) -> VendorServer:
        server = VendorServer(in_turn(*answers))
        request.addfinalizer(server.stop)
        return server

    return start


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
    for value in ("..", "", None, "a/../b", [1]):
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
    assert adapter_of(server, {}).call(CALL) == Done(result)
    error = answered(lambda: adapter_of(server, {"result": "body.data"}).call(CALL))
    assert isinstance(error, VendorError)


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
def test_a_pending_answer_without_its_reference_leaves_the_outcome_unknown(
    reference: Any, vendor: Callable[..., VendorServer]
) -> None:
    server = vendor(Answer(200, {"id": reference}))
    error = answered(lambda: adapter_of(server, {"reference": "body.id", "poll": POLL}).call(CALL))
    assert isinstance(error, VendorError)
    assert (error.code, error.permanent, error.outcome_known) == ("bad_reply", False, False)
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


def test_a_poll_without_url_repeats_the_call(vendor: Callable[..., VendorServer]) -> None:
    server = vendor(Answer(202, {}), Answer(200, {"data": 1}))
    adapter = adapter_of(server, {"poll": {"every": "5s"}, "result": "body.data"})
    assert adapter.call(CALL) == Accepted()
    assert adapter.poll(CALL) == Done(1)
    assert [arrival.path for arrival in server.arrivals] == ["/p/J%2F1"] * 2
    assert [arrival.key for arrival in server.arrivals] == [CALL.idempotency_key, ""]


def test_a_check_proves_the_credential(vendor: Callable[..., VendorServer]) -> None:
    server = vendor(Answer(200, {"left": "12"}), Answer(401, {}))
    adapter = adapter_of(server, {"check": {"url": "GET SERVER/me", "credits": "body.left"}})
    assert adapter.check() == Done({"credits": 12})
    error = answered(adapter.check)
    assert isinstance(error, VendorError)
    assert error.code == "auth"
    assert server.arrivals[0].path == "/me"


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
