"""Who sends a request is checked on its head, before its body is read or judged."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from enrichlabs.http.overload import MAX_WAIT_SECONDS
from enrichlabs.tests.http.test_overload import have_waited
from harness.ports import free_port
from harness.raw import answer, ask, connect, problem
from harness.running import ROOT, environment
from harness.waiting import wait_for

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
POST = b"POST /jobs HTTP/1.1\r\n" + HOST + JSON
LENGTH = b"Content-Length: 60000\r\n\r\n"
TOO_LONG = b"Content-Length: 70000\r\n\r\n"
EXPECTING = b"Expect: 100-continue\r\n" + LENGTH
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
GET = b"GET /jobs HTTP/1.1\r\n" + HOST
HEALTHZ = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
CALLBACK = b"POST /vendor-webhook/acme/01a2036a-3737-730f-8b75-355ab24a179b HTTP/1.1\r\n" + HOST
ENDLESS = (
    b"POST /mock-vendors/sync?body=endless HTTP/1.1\r\n"
    + HOST
    + b'Content-Length: 13\r\n\r\n{"name": "J"}'
)
MAKE_KEY = (
    "from audit.record import Actor; from clients import issuing, models;"
    "client = models.Client.objects.create(slug='tests', name='Tests');"
    "fields = {'name': 'tests', 'scopes': 'jobs:submit,jobs:read'};"
    "print('KEY', issuing.create(client, Actor('tests', ''), **fields).text)"
)
WRONG = b"elk_00000000" + b"0" * 38


@pytest.fixture(scope="module")
def server(gunicorn):
    return gunicorn(SERVES="api,webhooks,mock")


@pytest.fixture(scope="module")
def port(server) -> int:
    return server.port


@pytest.fixture(scope="module")
def key(server) -> bytes:
    """An API key, in force."""
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", MAKE_KEY]
    variables = environment(server.folder)
    made = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, check=True).stdout
    wait_for(lambda: ask(server.port, GET + b"\r\n")[0].status == 401, "the key to be in force")
    return made.partition(b"KEY ")[2].split()[0]


@pytest.fixture
def opened() -> Iterator[Callable[..., socket.socket]]:
    with ExitStack() as until_the_end:
        yield lambda port, data=b"": until_the_end.enter_context(connect(port, data))


def bearer(key: bytes) -> bytes:
    return b"Authorization: Bearer " + key + b"\r\n"


def whole(connection: socket.socket) -> bytes:
    """Return everything until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


# What is no key, and the header in which it is sent.
NO_KEYS = {
    "none": b"",
    "unknown": bearer(WRONG),
    "malformed": bearer(b"elk_x"),
    "empty": b"Authorization:\r\n",
    "without a key": b"Authorization: Bearer\r\n",
    "another scheme": b"Authorization: Basic " + WRONG + b"\r\n",
    "not ASCII": bearer(WRONG[:-1] + b"\xe9"),
    "7 KB": bearer(b"k" * 7000),
    "twice": bearer(WRONG) * 2,
    "in another header": b"X-Api-Key: " + WRONG + b"\r\n",
}


@pytest.mark.parametrize("body", [LENGTH, EXPECTING, CHUNKED, LENGTH + b"{", CHUNKED + b"5\r\n{"])
def test_without_a_key_no_body_is_waited_for_and_the_connection_is_closed(port, key, opened, body):
    began = time.monotonic()
    refused = {name: whole(opened(port, POST + no_key + body)) for name, no_key in NO_KEYS.items()}
    assert time.monotonic() - began < 5  # of the 10 s for each body
    assert len(set(refused.values())) == 1, refused
    assert refused["none"].startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b'\r\nWWW-Authenticate: Bearer realm="EnrichLabs"\r\n' in refused["none"]
    assert b"\r\nConnection: close\r\n" in refused["none"]


def test_a_valid_key_sent_twice_is_refused(port, key):
    assert problem(port, POST + bearer(key) * 2 + LENGTH)[0] == 401


BODIES = {
    "bad JSON": JSON + b"Content-Length: 1\r\n\r\n{",
    "another type": b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
    "too large": JSON + TOO_LONG,
    "too large and sent": JSON + TOO_LONG + b" " * 70000,
    "a chunk that is too large": JSON + CHUNKED + b"fffff\r\n",
    "chunks that are too large": JSON + CHUNKED + b"8000\r\n" + bytes(0x8000) + b"\r\n9000\r\n",
    "a malformed chunk": JSON + CHUNKED + b"zz\r\n",
    "compressed": JSON + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
}
REQUESTS = {
    **{f"/jobs, {name}": (b"POST /jobs", body) for name, body in BODIES.items()},
    "an unknown id": (b"GET /jobs/x", b"\r\n"),
    "cancel": (b"POST /jobs/x/cancel", b"Content-Length: 0\r\n\r\n"),
    "a method that is not allowed": (b"PUT /jobs", b"Content-Length: 2\r\n\r\n{}"),
    "a made-up method": (b"MADE-UP /jobs", b"\r\n"),
    "OPTIONS": (b"OPTIONS /jobs", b"\r\n"),
    "lines": (b"POST /batches", b"Content-Type: application/x-ndjson\r\n" + CHUNKED),
    "results": (b"GET /batches/x/results", b"\r\n"),
    "metrics": (b"GET /metrics", b"\r\n"),
    "metrics, posted": (b"POST /metrics", LENGTH),
    "an absolute URL": (b"POST http://localhost/jobs", JSON + LENGTH),
    "an escaped path": (b"POST /%6aobs", JSON + LENGTH),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_without_a_key_nothing_else_is_said(port, key, opened, name):
    line, rest = REQUESTS[name]
    connection = opened(port, line + b" HTTP/1.1\r\n" + HOST + bearer(WRONG) + rest)
    response, body = answer(connection)
    assert (response.status, json.loads(body)["code"]) == (401, "unauthorized")
    assert body == ask(port, GET + b"\r\n")[1]
    assert response.headers["Connection"] == "close"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Vary"] == "Authorization"
    assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("bad JSON", 400, "invalid_json"),
        ("another type", 415, "unsupported_media_type"),
        ("too large", 413, "too_large"),
        ("too large and sent", 413, "too_large"),
        ("a chunk that is too large", 413, "too_large"),
        ("chunks that are too large", 413, "too_large"),
        ("a malformed chunk", 400, "bad_chunk"),
        ("compressed", 415, "unsupported_encoding"),
    ],
)
def test_with_a_key_the_body_is_judged(port, key, name, status, code):
    line = b"POST /jobs HTTP/1.1\r\n" + HOST
    answered, said = problem(port, line + bearer(key) + BODIES[name])
    assert (answered, said["code"]) == (status, code)


def test_with_a_key_a_body_may_come_later_and_the_connection_is_kept(port, key, opened):
    connection = opened(port, POST + bearer(key) + EXPECTING)
    assert connection.recv(100) == CONTINUE
    connection.sendall(b"[" + b" " * 59_998 + b"]")
    response, body = answer(connection)
    assert json.loads(body)["code"] == "not_an_object"
    assert response.headers["Connection"] == "keep-alive"
    connection.sendall(POST + bearer(WRONG) + LENGTH)
    assert b" 401 Unauthorized\r\n" in whole(connection)


def test_a_dripping_client_without_a_key_is_refused_before_its_body_is_complete(port, key, opened):
    connection = opened(port, POST + LENGTH)
    wait_for(lambda: has_response_after(connection, b" "), "the refusal", seconds=5)
    assert whole(connection).startswith(b"HTTP/1.1 401 ")


def has_response_after(connection: socket.socket, byte: bytes) -> bool:
    connection.sendall(byte)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        (b"Authorization: Bearer\r\n " + WRONG + b"\r\n", 400, "bad_header"),
        (bearer(b"k" * 9000), 431, "head_too_large"),
        (b"Authorization : Bearer k\r\n", 400, "bad_header"),
        (b"Transfer-Encoding: chunked\r\n", 400, "bad_header"),
        (b"Expect: a miracle\r\n", 417, "expectation_failed"),
    ],
)
def test_a_malformed_head_is_refused_before_its_body(port, header, status, code):
    answered, said = problem(port, POST + header + LENGTH)
    assert (answered, said["code"]) == (status, code)


@pytest.mark.parametrize("path", [b"/vendor-webhook/acme/x", b"/mock-vendors/sync", b"/nowhere"])
def test_other_routes_ask_for_no_key(port, key, opened, path):
    connection = opened(port, b"POST " + path + b" HTTP/1.1\r\n" + HOST + EXPECTING)
    assert connection.recv(100) == CONTINUE


def test_a_process_that_does_not_serve_the_api_asks_for_no_key(serve, opened):
    port = serve(SERVES="webhooks,metrics", ALLOW_ANONYMOUS="0")
    for path in (b"jobs", b"vendors", b"metrics"):
        line = b"POST /" + path + b" HTTP/1.1\r\n" + HOST
        assert opened(port, line + EXPECTING).recv(100) == CONTINUE
        status = ask(port, line + b"Content-Length: 0\r\n\r\n")[0].status
        assert status == (405 if path == b"metrics" else 404)


def test_a_store_that_is_away_is_reported_at_once(gunicorn, opened):
    server = gunicorn(DATABASE_URL=f"mongodb://127.0.0.1:{free_port()}/")
    began = time.monotonic()
    waiting = [opened(server.port, POST + body) for body in (LENGTH, EXPECTING, CHUNKED)]
    gone = connect(server.port, POST + LENGTH)
    gone.close()
    assert ask(server.port, HEALTHZ)[0].status == 200
    for connection in waiting:
        response, body = answer(connection)
        assert (response.status, json.loads(body)["code"]) == (503, "store_unavailable")
        assert connection.recv(1) == b""
    assert time.monotonic() - began < 4
    assert "Traceback" not in server.log
    opened(server.port, POST + LENGTH)  # which is being checked when the server stops
    wait_for(lambda: ask(server.port, HEALTHZ)[0].status == 200, "it to be accepted")
    server.process.terminate()
    assert server.process.wait(15) == 0


def test_checks_that_waited_for_a_thread_are_refused_and_the_deadline_passes_meanwhile(
    gunicorn, opened
):
    server = gunicorn(SERVES="api,mock", GUNICORN_CMD_ARGS="--threads=1")
    held = opened(server.port, ENDLESS)
    wait_for(lambda: held.recv(1, socket.MSG_PEEK), "the response to begin")
    first = opened(server.port, POST + LENGTH)
    assert answer(first)[0].status == 408  # after 10 s; its check has not begun
    first.close()
    late = opened(server.port, POST + LENGTH)
    wait_for(lambda: have_waited([late], MAX_WAIT_SECONDS + 0.1), "a second to pass")
    held.close()
    response, body = answer(late)
    assert (response.status, json.loads(body)["code"]) == (503, "overloaded")
    assert "Traceback" not in server.log
    # The server still knows how many connections it has: when it stops, it waits for the last.
    late.close()
    silent = opened(server.port)
    under_way = opened(server.port, CALLBACK + b"Content-Length: 2\r\n\r\n{")
    wait_for(lambda: ask(server.port, HEALTHZ)[0].status == 200, "it to be accepted")
    server.process.terminate()
    assert silent.recv(1) == b""
    under_way.sendall(b"}")
    assert answer(under_way)[0].status == 404
    assert server.process.wait(15) == 0


def test_refused_requests_leave_no_memory_behind(gunicorn, opened):
    worker = "--worker-class=harness.gunicorn_workers.HastyWorker"
    port = gunicorn(ALLOW_ANONYMOUS=0, GUNICORN_CMD_ARGS=worker).port
    for _ in range(40):
        with connect(port, POST + LENGTH + bytes(20_000)) as connection:
            assert answer(connection)[0].status == 401
    waiting = opened(port, CALLBACK + b"Content-Length: 300000\r\n\r\n" + bytes(299_999))
    waiting.sendall(b" ")
    assert answer(waiting)[0].status == 404
