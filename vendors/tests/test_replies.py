"""What is stored of a reply that failed a call: little, cleaned, and without the vendor's keys."""

import json

import pytest
from urllib3 import HTTPHeaderDict

from vendors.base import Reply
from vendors.replies import LEFT_OUT, kept

SSN = frozenset({"ssn"})
KEY = 'sk-"1/2&3'


def body_of(body: bytes, redacted: frozenset[str] = SSN) -> str:
    return kept(Reply(422, {}, body), redacted, [KEY, ""]).as_json()["body"]


def test_some_headers_are_kept_but_no_cookies_or_credentials() -> None:
    headers = HTTPHeaderDict(
        {
            "Content-Type": "text/plain",
            "X-REQUEST-ID": "a\tb",
            "RateLimit-Remaining": "0",
            "Server": "x",
        }
    )
    headers.add("Set-Cookie", "session=secret")
    headers.add("WWW-Authenticate", "Bearer")
    headers.add("Authorization", f"Bearer {KEY}")
    headers.add("X-RateLimit-Scope", f"key {KEY}")
    headers.add("Retry-After", "x" * 1000)
    assert kept(Reply(429, headers, b""), SSN, [KEY]).as_json() == {
        "status": 429,
        "headers": {
            "Content-Type": "text/plain",
            "X-REQUEST-ID": "a\tb",
            "RateLimit-Remaining": "0",
            "X-RateLimit-Scope": "key ***",
            "Retry-After": "x" * 200,
        },
        "body": "",
    }


def test_the_number_of_kept_headers_is_limited() -> None:
    assert (
        len(kept(Reply(429, {f"X-RateLimit-{n}": "1" for n in range(100)}, b""), SSN, []).headers)
        == 20
    )


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"error": "No such person", "SSN": "123"}', '{"error": "No such person"}'),
        (
            b'[{"name": "ssn", "value": 1}, 12345678901234567.89]',
            '[{"name": "ssn"}, 12345678901234567.89]',
        ),
        ('{"a": "Zoë \\ud800 \\u0000\\u202e"}'.encode(), '{"a": "Zoë ��� \\u0000"}'),
        ('{"a": "Zoë"}'.encode("utf-16"), '{"a": "Zoë"}'),
        (b"Bad Request\r\nTry \x1b[1mlater\x00", "Bad Request\nTry [1mlater"),
        (b"caf\xe9", "caf�"),
        ("e\u0301\u200b\ufeff".encode(), "é"),
        (b"<p class='ssnav'>No class name</p>", "<p class='ssnav'>No class name</p>"),
        (b"", ""),
    ],
)
def test_a_body_is_cleaned_and_readable(body: bytes, shown: str) -> None:
    assert body_of(body) == shown


@pytest.mark.parametrize(
    "body",
    [
        b"<ssn>123</ssn>",
        b"name=x&SSN=123",
        b'{"ssn": "123"',
        b"s.s.n: 123",
        "{'\uff33\uff33\uff2e': 123}".encode(),
        b"user_ssn is 123",
        b'{"a": ' * 200 + b'{"ssn": 1}',
        "s\u200bsn 123".encode(),
    ],
)
def test_text_that_names_a_redacted_field_is_left_out(body: bytes) -> None:
    assert body_of(body) == LEFT_OUT
    assert body_of(body, frozenset()) != LEFT_OUT


@pytest.mark.parametrize(
    "body",
    [
        f"The key {KEY} is wrong".encode(),
        json.dumps({"key_used": KEY}).encode(),
        json.dumps({"text": json.dumps({"again": KEY})}).encode(),
        f"/v1?key={'sk-%221%2F2%263'}".encode(),
        b"<b>sk-&quot;1/2&amp;3</b>",
        b"x" * 4090 + KEY.encode(),
        f'{{"broken": "{KEY}"'.encode(),
    ],
)
def test_the_vendors_key_is_masked_in_any_encoding(body: bytes) -> None:
    shown = body_of(body)
    assert "***" in shown
    assert "sk-" not in shown


@pytest.mark.parametrize(
    "body", [b"x" * 1_000_000, b'["%s"]' % (b"x" * 10_000), "ü".encode() * 5000, b"\xff" * 9000]
)
def test_a_body_is_cut_after_4_kib(body: bytes) -> None:
    cut = kept(Reply(500, {}, body), SSN, [])
    assert len(cut.body) == 4096
    assert 4093 <= len(cut.as_json()["body"].encode()) <= 4096
