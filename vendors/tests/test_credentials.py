"""A credential's key stands where its definition says, and nowhere else."""

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from harness.vendor.server import Server, Visit, answering, reply
from vendors import credentials, pauses
from vendors.base import ANY_KEY, Accepted, Access, Done, VendorError
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.request import Request
from vendors.execute import execute
from vendors.models import Credential, CredentialKey, Vendor
from vendors.tests.contract import CALL

KEY = {"keys_env": ["VENDOR_PDL_KEY"]}


def faults_of(definition: dict[str, object]) -> dict[str, str]:
    with pytest.raises(DefinitionFaults) as caught:
        credentials.parse(definition)
    return caught.value.faults


@pytest.mark.parametrize(
    ("definition", "key", "sentence"),
    [
        (KEY, "", "Name exactly one place for the key: header, query, body, bearer_env or basic."),
        ({"header": "X-Key", "query": "key", **KEY}, "query", "Remove it, or header"),
        ({"header": "X Key", **KEY}, "header", "Must be the name of a header"),
        ({"header": "Host", **KEY}, "header", "Host can't hold a key."),
        ({"query": "", **KEY}, "query", "Must be the name of a parameter"),
        ({"body": 5, **KEY}, "body", "Must be the name of a field"),
        ({"query": "key", "prefix": "Token ", **KEY}, "prefix", "Remove it"),
        ({"header": "X-Key", "prefix": "a\n", **KEY}, "prefix", "Must be ASCII text"),
        ({"basic": False, **KEY}, "basic", "Must be true"),
        ({"header": "X-Key"}, "keys_env", "This key is required"),
        ({"header": "X-Key", "keys_env": "VENDOR_X"}, "keys_env", "Must be a list of names"),
        ({"header": "X-Key", "keys_env": []}, "keys_env", "Must be a list of names"),
        ({"header": "X-Key", "keys_env": ["VENDOR_A"] * 2}, "keys_env", "VENDOR_A is named twice."),
        ({"bearer_env": "VENDOR_A", "retired_env": ["VENDOR_A"]}, "retired_env", "named twice"),
        ({"header": "X-Key", "retired_env": ["PATH"], **KEY}, "retired_env", "not begin with"),
        ({"header": "X-Key", "keys_env": ["SECRET_KEY"]}, "keys_env", "is a setting of EnrichLabs"),
        ({"header": "X-Key", "keys_env": [5]}, "keys_env", "Enter the name of an environment"),
        ({"header": "X-Key", "keys_env": ["sk_live_123"]}, "keys_env", "Enter the name of an env"),
        ({"bearer_env": "PATH"}, "bearer_env", "does not begin with VENDOR_"),
        ({"bearer_env": "VENDOR_X", **KEY}, "keys_env", "Remove it: bearer_env names"),
        ({"bearer_env": "VENDOR_X", "hosts": "a.test"}, "hosts", "Must be a list of hosts"),
        ({"bearer_env": "VENDOR_X", "hosts": ["https://a.test"]}, "hosts", "a list of hosts"),
        ({"bearer_env": "VENDOR_X", "colour": 1}, "colour", "Unknown key. The known ones are hea"),
    ],
)
def test_a_faulty_definition_names_the_key(
    definition: dict[str, object], key: str, sentence: str
) -> None:
    fault = faults_of(definition)[key]
    assert sentence in fault
    assert "sk_live" not in fault


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"header": "X-Api-Key", **KEY}, {"headers": {"A": "1", "X-Api-Key": "k:3y"}}),
        ({"header": "a", "prefix": "Token ", **KEY}, {"headers": {"a": "Token k:3y"}}),
        (
            {"bearer_env": "VENDOR_PDL_KEY"},
            {"headers": {"A": "1", "Authorization": "Bearer k:3y"}},
        ),
        (
            {"basic": True, **KEY},
            {"headers": {"A": "1", "Authorization": "Basic azrDqSAzeQ=="}},
        ),
        ({"query": "key", **KEY}, {"query": [("q", "x"), ("key", "k:é 3y")]}),
        ({"body": "key", **KEY}, {"json": {"q": 1, "key": "k:é 3y"}}),
    ],
)
def test_the_key_is_put_in_its_place(
    monkeypatch: pytest.MonkeyPatch, definition: dict[str, object], expected: dict[str, object]
) -> None:
    is_in_header = "header" in definition or "bearer_env" in definition
    monkeypatch.setenv("VENDOR_PDL_KEY", "k:3y\n" if is_in_header else "k:é 3y\n")
    given = Request(
        "POST", "https://a/", query=[("q", "x"), ("key", "old")], headers={"A": "1"}, json={"q": 1}
    )
    if "query" not in definition:
        given.query.pop()
    made = credentials.apply(credentials.parse(definition), given, ANY_KEY)
    unchanged = {name: getattr(given, name) for name in ("query", "headers", "json")}
    assert {name: getattr(made, name) for name in unchanged} == {**unchanged, **expected}


def test_a_user_name_alone_has_an_empty_password() -> None:
    assert base64.b64decode(credentials.basic("me")) == b"me:"


def test_a_key_of_the_body_is_one_more_field_of_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_PDL_KEY", "k3y")
    scheme = credentials.parse({"body": "key", **KEY})
    form = Request("POST", "https://a/", form=[("a", "1"), ("key", "old")])
    assert credentials.apply(scheme, form, ANY_KEY).form == [("a", "1"), ("key", "k3y")]
    for body in ([1], None):
        with pytest.raises(ValueError, match="belongs in the body"):
            credentials.apply(scheme, Request("POST", "https://a/", json=body), ANY_KEY)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "The variable VENDOR_PDL_KEY is not set."),
        ("\n", "The variable VENDOR_PDL_KEY is not set."),
        ("a\rb", "The variable VENDOR_PDL_KEY holds characters that no API key can have."),
        ("ключ", "The variable VENDOR_PDL_KEY holds characters that no API key can have."),
    ],
)
def test_a_key_that_cannot_be_sent_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, value: str | None, sentence: str
) -> None:
    if value is not None:
        monkeypatch.setenv("VENDOR_PDL_KEY", value)
    credential = Credential(slug="pdl", definition={"header": "X-Api-Key", **KEY})
    assert credential.fault == sentence
    with pytest.raises(ValueError, match="VENDOR_PDL_KEY"):
        credential.apply(Request("GET", "https://a/"), ANY_KEY)


def test_each_request_has_the_key_of_its_access(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"keys_env": ["VENDOR_A", "VENDOR_B"], "retired_env": ["VENDOR_C"]}
    credential = Credential(slug="pdl", definition={"header": "X-Key", **names})
    assert credential.fault == "The variable VENDOR_A is not set. The variable VENDOR_B is not set."
    for name in ("VENDOR_B", "VENDOR_C"):
        monkeypatch.setenv(name, f"the key in {name}")
    assert credential.fault == ""

    def sent_with(name: str) -> str:
        return credential.apply(Request("GET", "https://a/"), Access(name)).headers["X-Key"]

    assert [sent_with(name) for name in ("", "VENDOR_B", "VENDOR_C")] == [
        "the key in VENDOR_B",
        "the key in VENDOR_B",
        "the key in VENDOR_C",
    ]
    for name, sentence in {"VENDOR_A": "is not set", "VENDOR_D": "Add it to retired_env"}.items():
        with pytest.raises(ValueError, match=sentence):
            sent_with(name)
    assert {"the key in VENDOR_B", "the%20key%20in%20VENDOR_C"} <= {*credential.secrets}
    assert credential.variable_names == ["VENDOR_A", "VENDOR_B", "VENDOR_C"]


def test_a_key_is_used_for_what_its_state_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"VENDOR_{name}" for name in ("GOOD", "UNPAID", "DENIED", "SLOW", "ENDED", "UNSET")]
    for name in (*names[:-1], "VENDOR_OLD"):
        monkeypatch.setenv(name, "k3y")
    now = timezone.now()
    later, earlier = now + timedelta(seconds=1), now - timedelta(seconds=1)
    credential = Credential(
        slug="pdl",
        definition={"header": "X", "keys_env": names, "retired_env": ["VENDOR_OLD"]},
    )
    credential.states = {
        "VENDOR_UNPAID": CredentialKey(paused=True, pause_reason=pauses.UNPAID),
        "VENDOR_DENIED": CredentialKey(paused=True, pause_reason=pauses.DENIED),
        "VENDOR_SLOW": CredentialKey(paused_until=later, pause_reason=pauses.SLOW_DOWN),
        "VENDOR_ENDED": CredentialKey(paused_until=earlier, pause_reason=pauses.SLOW_DOWN),
    }
    assert [(key.name.removeprefix("VENDOR_"), *key[1:]) for key in credential.pool(now)] == [
        ("GOOD", True, True),
        ("UNPAID", False, True),
        ("DENIED", False, False),
        ("SLOW", False, False),
        ("ENDED", True, True),
        ("UNSET", False, False),
        ("OLD", False, True),
    ]


def test_an_unvalidated_row_is_a_fault_and_reads_no_other_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    credential = Credential(slug="pdl", definition={"header": "X", "keys_env": ["SECRET_KEY"]})
    assert "SECRET_KEY is a setting of EnrichLabs" in credential.fault
    assert credential.secrets == []
    vendor = Vendor(adapter="http", definition={"credential": "pdl", "proxy_env": "SECRET_KEY"})
    vendor.credential = credential
    assert vendor.credential_fault == credential.fault
    assert vendor.secrets == []


def test_every_spelling_of_every_secret_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_PDL_KEY", "me:p4ss")
    monkeypatch.setenv("VENDOR_HOOK", "first one, you:th3re")
    monkeypatch.setenv("VENDOR_PROXY", "http://us:pr%40xy@proxy.test:3128")
    definition = {
        "credential": "pdl",
        "callback": {"basic": True, "secret_env": "VENDOR_HOOK"},
        "proxy_env": "VENDOR_PROXY",
    }
    vendor = Vendor(slug="acme", adapter="http", definition=definition)
    vendor.credential = Credential(slug="pdl", definition={"basic": True, **KEY})
    encoded = [base64.b64encode(text).decode() for text in (b"me:p4ss", b"you:th3re", b"us:pr@xy")]
    expected = [
        "me:p4ss",
        "me%3Ap4ss",
        "p4ss",
        "first one",
        "you:th3re",
        "th3re",
        "pr%40xy",
        "pr@xy",
        *encoded,
    ]
    assert set(vendor.secrets) == set(expected)
    assert vendor.variable_names == {"VENDOR_PDL_KEY", "VENDOR_HOOK", "VENDOR_PROXY"}


@pytest.mark.parametrize("login", ["sk_live_1:x", "sk_live_1:", "x:sk_live_1"])
def test_a_user_or_password_that_is_the_key_is_known(
    login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR_PDL_KEY", login)
    vendor = Vendor(slug="acme", adapter="http", definition={"credential": "pdl"})
    vendor.credential = Credential(slug="pdl", definition={"basic": True, **KEY})
    hook = {"callback": {"basic": True, "secret_env": "VENDOR_PDL_KEY"}}
    for each in (vendor, Vendor(slug="acme", adapter="http", definition=hook)):
        assert "sk_live_1" in each.secrets
        assert not {"", "x"} & {*each.secrets}


@pytest.mark.parametrize(
    "definition",
    [
        {"header": "X-Api-Key", "prefix": "Token ", **KEY},
        {"basic": True, **KEY},
        {"query": "key", **KEY},
        {"body": "key", **KEY},
    ],
)
def test_a_vendor_that_repeats_the_request_stores_no_key(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server], definition: dict[str, object]
) -> None:
    monkeypatch.setenv("VENDOR_PDL_KEY", "me:k3y/s3cret+")

    def repeat(visit: Visit) -> None:
        body = b"You sent: " + visit.read_request()
        visit.send(b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    server = serve(repeat)
    vendor = Vendor(
        slug="pdl",
        adapter="http",
        url=f"POST http://127.0.0.1:{server.port}/",
        definition={"json": {"name": "{input.name}"}, "credential": "pdl"},
        redact="",
    )
    vendor.credential = Credential(slug="pdl", definition=definition)
    error = execute(vendor, CALL)
    assert isinstance(error, VendorError)
    assert error.reply is not None
    assert b"You sent: POST /" in error.reply.body
    assert b"***" in error.reply.body
    encoded = base64.b64encode(b"me:k3y/s3cret+")
    for spelling in (b"s3cret", b"k3y", encoded):
        assert spelling not in error.reply.body
    assert any(it in server.requests[0] for it in (b"s3cret", encoded))


@pytest.fixture
def echoing(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]
) -> Callable[[bytes, dict[str, object]], object]:
    """Return what a call comes to whose answer has this body."""
    monkeypatch.setenv("VENDOR_PDL_KEY", 'sk-l1ve/"s3cret')

    def execute_with(body: bytes, keys: dict[str, object]) -> object:
        vendor = Vendor(
            slug="pdl",
            adapter="http",
            url=f"GET {serve(answering(reply(body=body))).url}",
            definition={"credential": "pdl", **keys},
        )
        vendor.credential = Credential(slug="pdl", definition={"query": "api_key", **KEY})
        return execute(vendor, CALL)

    return execute_with


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (rb'{"a": "John", "b": ["k=sk-l1ve/\"s3cret."]}', {"a": "John", "b": ["k=***."]}),
        (b'{"links": {"/p?api_key=sk-l1ve%2F%22s3cret": 1}}', {"links": {"/p?api_key=***": 1}}),
        (rb'["{\"again\": \"sk-l1ve/\\\"s3cret\"}"]', ['{"again": "***"}']),
        (rb'"sk-l1ve/\"s3cret"', "***"),
        (b'{"a": "sk-l1ve"}', {"a": "sk-l1ve"}),
    ],
)
def test_a_result_does_not_repeat_the_key(
    body: bytes, result: object, echoing: Callable[..., object]
) -> None:
    assert echoing(body, {}) == Done(result)


def test_a_reference_with_the_key_in_it_is_not_stored(echoing: Callable[..., object]) -> None:
    keys = {"reference": "body.self", "poll": {"every": "5s"}}
    error = echoing(b'{"self": "/p?api_key=sk-l1ve%2F%22s3cret"}', keys)
    assert isinstance(error, VendorError)
    assert (error.code, error.permanent, error.outcome_known) == ("bad_reply", True, False)
    assert "s3cret" not in error.message
    assert echoing(b'{"self": "/p"}', keys) == Accepted("/p")
