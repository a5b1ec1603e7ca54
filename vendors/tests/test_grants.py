"""How a token is asked for, and what the answers mean."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from harness.vendor.scripted import Answer
from harness.vendor.server import Server, Visit, answering, reply
from harness.vendor.tokens import CLIENT, LOGIN_PATH, SECRET, TOKEN_PATH, TokenVendor
from vendors import credentials
from vendors.base import Access, Done, VendorError
from vendors.credentials import grants
from vendors.credentials.grants import Grant, Issued
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.request import Request
from vendors.execute import execute
from vendors.models import Credential, Vendor
from vendors.outbound import DIRECT
from vendors.tests.contract import CALL

NAMES = {"id_env": "VENDOR_SNOV_ID", "secret_env": "VENDOR_SNOV_SECRET"}
USER = {"user": "VENDOR_SNOV_ID", "password": "VENDOR_SNOV_SECRET"}
URL = "https://a.test/token"
OAUTH2 = {"token_url": URL, **NAMES}
LOGIN = {"url": f"POST {URL}", "json_env": USER, "token": "body.data.token"}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_SNOV_ID", CLIENT)
    monkeypatch.setenv("VENDOR_SNOV_SECRET", f"{SECRET}\n")


@pytest.fixture
def token_vendor() -> Iterator[TokenVendor]:
    server = TokenVendor()
    yield server
    server.stop()


def oauth2(server: Server, **keys: object) -> Grant:
    table = {"token_url": server.url.rstrip("/") + TOKEN_PATH, **NAMES, **keys}
    return grant_of({"oauth2": table})


def login(server: Server, **keys: object) -> Grant:
    url = f"POST {server.url.rstrip('/')}{LOGIN_PATH}"
    return grant_of({"login": {**LOGIN, "url": url, **keys}})


def grant_of(definition: dict[str, object]) -> Grant:
    grant = credentials.parse(definition).grant
    assert grant
    return grant


@pytest.mark.parametrize("send", ["body", "basic"])
def test_oauth2_shows_id_and_secret_where_it_should(token_vendor: TokenVendor, send: str) -> None:
    issued = grants.ask(oauth2(token_vendor, send=send, scope="read all"), DIRECT)
    assert issued == Issued(token_vendor.issued[0], 3600)
    [arrival] = token_vendor.asked
    assert "scope=read%20all" in arrival.content.decode()
    assert ("authorization" in arrival.headers) == (send == "basic")
    assert b"client_secret" not in arrival.content if send == "basic" else True
    assert arrival.headers["accept"] == "application/json"
    assert arrival.headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_login_posts_fixed_values_and_those_of_variables(token_vendor: TokenVendor) -> None:
    grant = login(token_vendor, json={"tenant": 7}, expires_in="body.data.expires_in", life="2h")
    assert grants.ask(grant, DIRECT) == Issued(token_vendor.issued[0], 3600)
    assert token_vendor.asked[0].body == {"tenant": 7, "user": CLIENT, "password": SECRET}
    token_vendor.life_seconds = None
    assert grants.ask(grant, DIRECT).life_seconds == 7200
    form = grant_of({"login": {**LOGIN, "json_env": {}, "form": {"a": 1}, "form_env": USER}})
    sent = Request("POST", URL, form=[("a", "1"), ("user", CLIENT), ("password", SECRET)])
    assert form.request() == sent


@pytest.mark.parametrize(
    ("body", "life_seconds"),
    [
        ({"access_token": "t", "expires_in": "90"}, 90),
        ({"access_token": "t", "expires_in": 10**12}, grants.MAX_LIFE_SECONDS),
        ({"access_token": "t", "expires_in": 0.01}, 1),
        ({"access_token": " t\r\n", "expires_in": -5}, 3600),
        ({"access_token": "t", "expires_in": "soon"}, 3600),
        ({"access_token": "t"}, 3600),
    ],
)
def test_the_life_of_a_token_has_bounds(
    serve: Callable[..., Server], body: object, life_seconds: float
) -> None:
    server = serve(answering(reply(body=json.dumps(body).encode())))
    assert grants.ask(oauth2(server), DIRECT) == Issued("t", life_seconds)


@pytest.mark.parametrize(
    ("answer", "code", "is_outage", "sentence"),
    [
        (Answer(401, {"error": "invalid_client"}), "auth", False, "(status 401, invalid_client)."),
        (Answer(400, {"error": "tok3n-1 is no code"}), "auth", False, "(status 400). Check its"),
        (Answer(302, headers=(("Location", "/x"),)), "vendor_error", True, "(status 302)"),
        (Answer(200, {"acces_token": "tok3n"}), "auth", False, "has no token that can be used"),
        (Answer(200, {"access_token": "tok3n\nb"}), "auth", False, "has no token that can be"),
        (Answer(200, {"access_token": "t" * 9000}), "auth", False, "has no token that can be"),
        (Answer(200, text="tok3n"), "vendor_error", True, "has no token that can be used"),
        (Answer(200, text="t" * 2_000_000), "vendor_unreachable", True, "is too long or not valid"),
        (Answer(429), "rate_limited", False, "is rate limiting us (status 429)."),
        (Answer(500), "vendor_error", True, "answered with an error (status 500)."),
        (b"tok3n\r\n\r\n", "vendor_unreachable", True, "its answer is too long or not valid HTTP"),
    ],
)
def test_no_token_is_an_error_that_shows_none(
    token_vendor: TokenVendor,
    answer: Answer | bytes,
    code: str,
    is_outage: bool,
    sentence: str,
) -> None:
    token_vendor.refusal = answer
    with pytest.raises(VendorError) as caught:
        grants.ask(oauth2(token_vendor), DIRECT)
    error = caught.value
    assert (error.code, error.outage, error.outcome_known) == (code, is_outage, True)
    assert error.message.startswith("The token server ")
    assert sentence in error.message
    assert error.reply is None
    assert "tok3n" not in error.message
    assert SECRET not in error.message


def test_a_token_server_that_hangs_or_is_away_is_an_outage(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "REQUEST_TIMEOUT_SECONDS", 0.1)
    server = serve(Visit.hang)
    hanging, cut = oauth2(server), oauth2(serve(Visit.read_request))
    away = grant_of({"oauth2": {**OAUTH2, "token_url": "http://127.0.0.1:1/"}})
    for grant, sentence in (
        (hanging, "did not answer in full within 10 s."),
        (cut, "connection was lost before its answer"),
        (away, "it could not be reached: it refused the connection."),
    ):
        with pytest.raises(VendorError, match=sentence) as caught:
            grants.ask(grant, DIRECT)
        assert (caught.value.outage, caught.value.outcome_known) == (True, True)


def test_a_missing_variable_asks_nobody(
    token_vendor: TokenVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = oauth2(token_vendor)
    monkeypatch.delenv("VENDOR_SNOV_SECRET")
    with pytest.raises(VendorError, match="VENDOR_SNOV_SECRET is not set") as caught:
        grants.ask(grant, DIRECT)
    assert caught.value.code == "api_key_missing"
    assert token_vendor.arrivals == []
    credential = Credential(slug="snov", definition={"oauth2": OAUTH2})
    assert credential.fault == "The variable VENDOR_SNOV_SECRET is not set."


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        ({}, {"headers": {"Authorization": "Bearer t0k"}}),
        ({"header": "X-Token"}, {"headers": {"X-Token": "t0k"}}),
        ({"header": "a", "prefix": "Token "}, {"headers": {"a": "Token t0k"}}),
        ({"query": "access_token"}, {"query": [("access_token", "t0k")]}),
    ],
)
@pytest.mark.parametrize("grant", [{"oauth2": OAUTH2}, {"login": LOGIN}])
def test_the_token_stands_in_its_place(
    grant: dict[str, object], keys: dict[str, object], sent: dict[str, Any]
) -> None:
    credential = Credential(slug="snov", definition={**grant, **keys})
    request = Request("GET", "https://a.test/")
    assert credential.apply(request, Access(token="t0k")) == Request("GET", request.url, **sent)
    with pytest.raises(ValueError, match="no token"):
        credential.apply(request, Access())
    assert credential.scheme.keys == (NAMES["secret_env" if "oauth2" in grant else "id_env"],)
    assert {CLIENT, SECRET} <= set(credential.secrets)
    assert set(credential.variable_names) == {"VENDOR_SNOV_ID", "VENDOR_SNOV_SECRET"}


def test_a_vendor_that_repeats_the_token_shows_it_to_nobody(serve: Callable[..., Server]) -> None:
    body = b'{"you": "Bearer tok3n/n0w", "url": "?t=tok3n%2Fn0w"}'

    def call(slug: str, status: str) -> object:
        url = f"GET {serve(answering(reply(status, body=body))).url}"
        vendor = Vendor(slug=slug, adapter="http", url=url, definition={"credential": "snov"})
        vendor.credential = Credential(slug="snov", definition={"oauth2": OAUTH2})
        return execute(vendor, replace(CALL, access=Access(token="tok3n/n0w")))

    assert call("good", "200 OK") == Done({"you": "Bearer ***", "url": "?t=***"})
    error = call("bad", "400 No")
    assert isinstance(error, VendorError)
    assert error.reply
    assert b"tok3n" not in error.reply.body
    assert b"Bearer ***" in error.reply.body


@pytest.mark.parametrize(
    ("definition", "key", "sentence"),
    [
        ({"oauth2": []}, "oauth2", "Must be a table"),
        ({"oauth2": {**OAUTH2, "token_url": "POST https://a.test"}}, "oauth2.token_url", "the URL"),
        ({"oauth2": {**OAUTH2, "token_url": "https://u:p@a.test"}}, "oauth2.token_url", "the URL"),
        ({"oauth2": {"token_url": URL}}, "oauth2.id_env", "name of an environment variable"),
        ({"oauth2": {**OAUTH2, "secret_env": "SECRET_KEY"}}, "oauth2.secret_env", "is a setting"),
        ({"oauth2": {**OAUTH2, "scope": ["a"]}}, "oauth2.scope", "Must be text"),
        ({"oauth2": {**OAUTH2, "send": "query"}}, "oauth2.send", "Must be body or basic."),
        ({"oauth2": {**OAUTH2, "scopes": "a"}}, "oauth2.scopes", "Did you mean scope?"),
        ({"oauth2": OAUTH2, "login": LOGIN}, "login", "Remove it, or oauth2"),
        ({"oauth2": OAUTH2, "basic": True}, "basic", "a header or in the query"),
        ({"oauth2": OAUTH2, "body": "key"}, "body", "a header or in the query"),
        ({"oauth2": OAUTH2, "bearer_env": "VENDOR_X"}, "bearer_env", "a header or in the query"),
        ({"oauth2": OAUTH2, "keys_env": ["VENDOR_X"]}, "keys_env", "oauth2 names the variables"),
        ({"oauth2": OAUTH2, "retired_env": [NAMES["secret_env"]]}, "retired_env", "oauth2 names"),
        ({"oauth2": OAUTH2, "header": "a", "query": "b"}, "query", "one place"),
        ({"login": {**LOGIN, "url": URL}}, "login.url", "Must be a method and a URL"),
        ({"login": {**LOGIN, "token": "body."}}, "login.token", ""),
        ({"login": {**LOGIN, "token": "input.a"}}, "login.token", "There is no input."),
        ({"login": {**LOGIN, "life": "0s"}}, "login.life", "at least 1s"),
        ({"login": {"url": LOGIN["url"], "json_env": USER}}, "login.token", "where the token is"),
        ({"login": {**LOGIN, "json_env": {}}}, "login.json_env", "Name the variables"),
        ({"login": {**LOGIN, "json_env": {"a": "PATH"}}}, "login.json_env.a", "does not begin"),
        ({"login": {**LOGIN, "json": {"user": 1}}}, "login.json.user", "Remove it: json_env"),
        ({"login": {**LOGIN, "form": {"a": 1}}}, "login.form", "one body"),
        ({"login": {**LOGIN, "form": {"a": {}}}}, "login.form", "text or numbers"),
    ],
)
def test_a_faulty_definition_names_the_key(
    definition: dict[str, object], key: str, sentence: str
) -> None:
    with pytest.raises(DefinitionFaults) as caught:
        credentials.parse(definition)
    assert sentence in caught.value.faults[key]


@pytest.mark.sqlite
@pytest.mark.django_db
def test_a_row_names_a_token_server_that_can_be_called() -> None:
    for definition, key in (
        ({"oauth2": {**OAUTH2, "token_url": "https://10.0.0.300/"}}, "oauth2.token_url"),
        ({"login": {**LOGIN, "url": "POST https://a.test:0/"}}, "login.url"),
    ):
        with pytest.raises(ValidationError, match=key):
            Credential(slug="snov", definition=definition).full_clean()


@pytest.mark.parametrize("grant", [{"oauth2": OAUTH2}, {"login": LOGIN}])
def test_a_variable_can_be_renamed_while_jobs_need_the_key_known_by_it(
    grant: dict[str, Any],
) -> None:
    definition = {**grant, "retired_env": ["VENDOR_OLD_SECRET"]}  # which is not set any more
    credential = Credential(slug="snov", definition=definition)
    credential.states = {}
    old = credential.pool(timezone.now())[-1]
    assert old == ("VENDOR_OLD_SECRET", False, True)
    sent = credential.apply(Request("GET", "https://a/"), Access(old.name, "t0ken"))
    assert sent.headers["Authorization"] == "Bearer t0ken"
    assert credential.key_names[-1] == old.name
