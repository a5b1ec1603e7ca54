"""A signature covers the parts that its definition names, as they are sent."""

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.vendor.server import Server, answering, reply
from vendors import credentials
from vendors.base import ANY_KEY, Done
from vendors.credentials.signing import Signing
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.request import Request
from vendors.execute import execute, poll
from vendors.models import Credential, Vendor
from vendors.tests.contract import CALL

KEYS = {"keys_env": ["VENDOR_X_KEY"]}
SUMSUB = {
    "hmac": "sha256",
    "header": "X-App-Access-Sig",
    "signed": "{t}{method}{path}{body}",
    "timestamp_header": "X-App-Access-Ts",
    "secret_env": "VENDOR_X_SECRET",
}


# RFC 4231, test case 2.
SHA256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
SHA512 = (
    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
)


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_X_KEY", "k3y-1")
    monkeypatch.setenv("VENDOR_X_SECRET", "s3cret\n")


@pytest.mark.parametrize(
    ("signing", "expected"),
    [
        (Signing("sha256", "S", signed="{body}{ref}"), SHA256),
        (
            Signing("sha512", "S", "base64", prefix="v1=", signed="{body}{ref}"),
            "v1=" + base64.b64encode(bytes.fromhex(SHA512)).decode(),
        ),
        (
            Signing("sha1", "S", signed="{t}|{method}|{path}|{query}|{body}|"),
            hmac.new(
                b"Jefe", b"7|POST|/a%20b?x=%C3%A9|x=%C3%A9|what do ya want |", "sha1"
            ).hexdigest(),
        ),
    ],
)
def test_each_part_is_signed_as_it_is_sent(signing: Signing, expected: str) -> None:
    class Text(Request):
        def encoded(self) -> tuple[str, dict[str, str], bytes]:
            return "https://a.test/a b?x=é", {"s": "old"}, b"what do ya want "

    signed = signing.sign(Text("POST", ""), "Jefe", reference="for nothing?", at=7.9)
    assert signed.headers == {"S": expected}


def sent(server: Server) -> tuple[str, dict[str, str], bytes]:
    head, _, body = server.requests[-1].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return first.rpartition(" ")[0], headers, body


def vendor_of(server: Server, credential: dict[str, object], **definition: object) -> Vendor:
    url = f"POST {server.url}v1/check?q={{input.city}}&z=%7e"
    definition = {"json": {"name": "{input.name}"}, "credential": "x", **definition}
    vendor = Vendor(slug="x", adapter="http", url=url, definition=definition, timeout_seconds=5)
    vendor.credential = Credential(slug="x", definition=credential)
    return vendor


def test_a_vendor_can_check_the_signature_of_a_call(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply()))
    vendor = vendor_of(server, {"header": "X-App-Token", "sign": SUMSUB, **KEYS})
    call = replace(CALL, input={"name": "Zoë", "city": "San José/1"})
    assert isinstance(execute(vendor, call), Done)
    first, headers, body = sent(server)
    method, path = first.split(" ")
    signed = f"{headers['x-app-access-ts']}{method}{path}".encode() + body
    expected = hmac.new(b"s3cret", signed, "sha256").hexdigest()
    assert headers["x-app-access-sig"] == expected
    assert headers["x-app-token"] == "k3y-1"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {"name": "Zoë"}
    assert {"k3y-1", "s3cret"} <= set(vendor.secrets)
    assert vendor.variable_names == {"VENDOR_X_KEY", "VENDOR_X_SECRET"}


def test_a_poll_can_sign_the_reference_with_a_key_that_is_not_sent(
    serve: Callable[..., Server],
) -> None:
    server = serve(answering(reply()))
    sign = {"hmac": "sha256", "header": "X-Sig", "encoding": "base64", "signed": "{ref}"}
    vendor = vendor_of(
        server,
        {"sign": sign, **KEYS},
        reference="body.id",
        poll={"url": f"GET {server.url}{{ref}}", "every": "5s"},
    )
    assert isinstance(poll(vendor, replace(CALL, reference="session-1")), Done)
    raw = server.requests[-1].decode()
    digest = hmac.digest(b"k3y-1", b"session-1", "sha256")
    assert f"X-Sig: {base64.b64encode(digest).decode()}" in raw
    assert "k3y-1" not in raw


def test_a_missing_secret_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VENDOR_X_SECRET")
    credential = Credential(slug="x", definition={"header": "a", "sign": SUMSUB, **KEYS})
    assert credential.fault == "The variable VENDOR_X_SECRET is not set."
    with pytest.raises(ValueError, match="VENDOR_X_SECRET"):
        credential.apply(Request("GET", "https://a.test/"), ANY_KEY)


@pytest.mark.parametrize(
    ("keys", "key", "sentence"),
    [
        ({"hmac": "md5"}, "sign.hmac", "Must be sha1, sha256 or sha512."),
        ({"header": "a b"}, "sign.header", "Must be the name of a header"),
        ({"encoding": "utf-8"}, "sign.encoding", "Must be hex or base64."),
        ({"prefix": "é"}, "sign.prefix", "Must be ASCII text."),
        ({"signed": "{t}{secret}"}, "sign.signed", "these names in braces: t, method, path, query"),
        ({"signed": "{{body}"}, "sign.signed", "these names in braces"),
        ({"signed": "body"}, "sign.signed", "at least one part"),
        ({"signed": 5}, "sign.signed", "these names in braces"),
        ({"signed": "{body}"}, "sign.signed", "a timestamp that is not signed proves nothing"),
        ({"timestamp_header": "a b"}, "sign.timestamp_header", "Must be the name of a header"),
        ({"secret_env": "PATH"}, "sign.secret_env", "does not begin with VENDOR_"),
        ({"seal": 1}, "sign.seal", "Unknown key."),
    ],
)
def test_a_faulty_signature_names_the_key(keys: dict[str, Any], key: str, sentence: str) -> None:
    assert sentence in faults_of({"header": "a", "sign": {**SUMSUB, **keys}, **KEYS})[key]


def faults_of(definition: dict[str, object]) -> dict[str, str]:
    with pytest.raises(DefinitionFaults) as caught:
        credentials.parse(definition)
    return caught.value.faults


def test_a_signature_needs_what_it_is_made_with() -> None:
    no_time = {name: value for name, value in SUMSUB.items() if name != "timestamp_header"}
    assert "Must name the header" in faults_of({"sign": no_time, **KEYS})["sign.timestamp_header"]
    assert "is required" in faults_of({"sign": SUMSUB})["keys_env"]
    two = {"header": "a", "keys_env": ["VENDOR_A"], "retired_env": ["VENDOR_B"]}
    assert "all keys but one" in faults_of({"sign": SUMSUB, **two})["sign.secret_env"]
    token = {"token_url": "https://a.test/", "id_env": "VENDOR_A", "secret_env": "VENDOR_B"}
    own = {"hmac": "sha256", "header": "S"}
    found = faults_of({"oauth2": token, "sign": own})
    assert found == {"sign.secret_env": "This key is required: a token does not sign."}
    scheme = credentials.parse({"sign": own, "keys_env": ["VENDOR_A"], "retired_env": ["VENDOR_B"]})
    assert (scheme.names, scheme.placement.place) == (("VENDOR_A", "VENDOR_B"), "nowhere")
