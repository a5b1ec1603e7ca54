"""Headers as they come over the wire: what reaches us of addresses and keys."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from clients import issuing
from clients.keys import new_key
from harness import raw
from harness.clients import ACTOR, key_row, make_client, make_key

pytestmark = pytest.mark.about_redis

HEAD = "GET /jobs HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def port(serve_api):
    return serve_api()[0]


def status(port: int, *lines: str) -> int:
    request = HEAD + "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return raw.ask(port, request.encode("latin-1"))[0].status


FORGED = [
    ("X-Forwarded-For: 10.0.0.1",),
    ("X-Real-IP: 10.0.0.1",),
    ("X_Forwarded_For: 10.0.0.1",),
    ("X-Forwarded-For: ::ffff:10.0.0.1",),
    ("Forwarded: for=10.0.0.1",),
    ("X-Client-IP: 10.0.0.1", "True-Client-IP: 10.0.0.1", "CF-Connecting-IP: 10.0.0.1"),
    ("REMOTE_ADDR: 10.0.0.1", "Remote-Addr: 10.0.0.1"),
]


def test_without_a_proxy_the_connection_decides(port):
    inside = make_key(addresses="127.0.0.0/8")
    outside = make_key(addresses="10.0.0.1")
    for lines in FORGED:
        assert status(port, f"Authorization: Bearer {outside}", *lines) == 401, lines
        assert status(port, f"Authorization: Bearer {inside}", *lines) == 200, lines


def test_behind_a_proxy_the_last_address_that_is_no_proxy_decides(serve_api):
    port = serve_api(TRUSTED_PROXIES="127.0.0.1, 10.1.0.0/16")[0]
    key = f"Authorization: Bearer {make_key(addresses='10.0.0.1')}"
    assert status(port, key, "X-Forwarded-For: 10.0.0.1") == 200
    assert status(port, key, "X-Forwarded-For: ::ffff:10.0.0.1") == 200
    assert status(port, key, "X-Forwarded-For: 203.0.113.5, 10.0.0.1, 10.1.2.3") == 200
    assert status(port, key, "X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.1.2.3") == 200
    assert status(port, key, "X-Forwarded-For: 10.0.0.1, 203.0.113.5") == 401
    assert status(port, key, "X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 203.0.113.5") == 401
    assert status(port, key, "X-Forwarded-For: 203.0.113.5", "X_Forwarded_For: 10.0.0.1") == 401
    assert status(port, key, "X-Forwarded-For: 10.0.0.1, nonsense") == 401
    assert status(port, key, "X_Forwarded_For: 10.0.0.1") == 401
    assert status(port, key, "X-Real-IP: 10.0.0.1") == 401
    assert status(port, key) == 401


def test_one_place_for_the_key_and_one_key(port):
    key = make_key()
    assert status(port, f"Authorization: Bearer {key}") == 200
    assert status(port, f"authorization: bearer {key}") == 200
    other = make_key()
    for lines in [
        (f"Authorization: Bearer {key}", f"Authorization: Bearer {key}"),
        (f"Authorization: Bearer {key}", f"Authorization: Bearer {other}"),
        (f"Authorization: Bearer {key}", "Authorization: x"),
        (f"Authorization_: Bearer {key}",),
        (f"Authorization: Bearer {key}\xe9",),
        (f"Authorization: Bearer  {key}",),
        (f"Authorization: Bearer\t{key}",),
        ("Authorization: Bearer",),
        ("Authorization: Bearer ",),
        (f"X-Api-Key: {key}",),
        (f"Proxy-Authorization: Bearer {key}",),
        (),
    ]:
        assert status(port, *lines) == 401, lines


REQUESTS = {
    "GET": "GET /jobs HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
    "POST": "POST /jobs HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: 2\r\n\r\n{{}}",
    "a body that never comes": "POST /jobs HTTP/1.1\r\nHost: localhost\r\n{}"
    "Content-Type: text/plain\r\nContent-Length: 60000\r\n\r\n",
    "a body that is too large": "POST /jobs HTTP/1.1\r\nHost: localhost\r\n{}"
    "Content-Length: 60000000\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_the_refusal_does_not_tell_what_is_wrong(port, request_):
    expired = make_key(expires_at=timezone.now() + timedelta(days=1))
    key_row(expired).__class__.objects.update(expires_at=timezone.now())
    revoked, elsewhere = make_key(), make_key(addresses="192.0.2.1")
    issuing.revoke(key_row(revoked), ACTOR)
    of_disabled = make_key("team-b")
    make_client("team-b", enabled=False)
    values = [expired, revoked, elsewhere, of_disabled, new_key(), "elk_x", "x" * 5000, "\xe9"]
    lines = ["", "Authorization: \r\n", *(f"Authorization: Bearer {each}\r\n" for each in values)]
    answers = set()
    for line in lines:
        response, body = raw.ask(port, request_.format(line).encode("latin-1"))
        headers = [(name, value) for name, value in response.getheaders() if name != "Date"]
        answers.add((response.status, repr(headers), body))
    [(status_, headers, body)] = answers
    assert (status_, json.loads(body)["code"]) == (401, "unauthorized")
    for header in (
        ("WWW-Authenticate", 'Bearer realm="EnrichLabs"'),
        ("Connection", "close"),
        ("Cache-Control", "no-store"),
        ("Vary", "Authorization"),
    ):
        assert repr(header) in headers


PATHS = [
    *("/jobs", "//jobs", "/%6aobs", "/./jobs", "/jobs;/x", "/jobs/", "http://localhost/jobs"),
    *("/vendor-webhook/../jobs", "/vendor-webhook/%2e%2e/jobs"),
]


def test_no_spelling_of_a_path_leads_past_the_key(port):
    make_key()
    for path in PATHS:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        response, body = raw.ask(port, request.encode())
        assert response.status in (400, 401, 404), path
        assert b"items" not in body
