"""A body above its route's limit is refused before it is read, and no part of it is stored."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from harness.raw import answer, ask, connect, problem
from harness.waiting import wait_for

PATHS = [
    "/jobs",
    "/vendor-webhook/acme/01a2036a-3737-730f-8b75-355ab24a179b?token=x",
    "/admin/",
    "/admin/login/",
    "/mock-vendors/sync",
]
OTHERS = [
    "/",
    "/healthz",
    "/readyz",
    "/docs",
    "/schema",
    "/favicon.ico",
    "/nowhere",
    "/static/admin/css/base.css",
]
BOUNDARY = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
HEAD = (
    "{} {} HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\nCookie: csrftoken={}\r\n"
    "{}: {}\r\n\r\n"
)
GB = 1024**3
NOT_ALLOWED = (405, "method_not_allowed")
# Where the view responds, and something else about the request is wrong, or nothing.
ANSWERED_BY_VIEW = {
    **{(path, method): NOT_ALLOWED for path in PATHS[:2] for method in ("PUT", "OPTIONS")},
    (PATHS[1], "GET"): NOT_ALLOWED,
    ("/jobs", "POST"): (415, "unsupported_media_type"),
    ("/jobs", "GET"): (200, None),
}


def head(method: str, path: str, name: str, value: object) -> bytes:
    return HEAD.format(method, path, "a" * 32, name, value).encode()


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tmp")


@pytest.fixture(scope="module")
def port(serve: Callable[..., int], temporary: Path) -> int:
    return serve(
        TMPDIR=temporary,
        SERVES="api,admin,webhooks,mock",
        GUNICORN_CMD_ARGS="--worker-tmp-dir /dev/shm",
    )


@pytest.mark.parametrize("path", PATHS + OTHERS)
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "OPTIONS"])
def test_two_gigabytes_are_refused_by_their_length(port, temporary, path, method):
    response, body = ask(port, head(method, path, "Content-Length", 2 * GB) + BOUNDARY)
    said = (response.status, json.loads(body or b"{}").get("code"))
    assert said == ANSWERED_BY_VIEW.get((path, method), (413, "too_large"))
    assert response.headers["Connection"] == "close"
    assert list(temporary.iterdir()) == []


def test_a_callback_that_is_too_large_is_logged(gunicorn):
    server = gunicorn(SERVES="webhooks")
    request = head("POST", PATHS[1], "Content-Length", 2 * GB) + BOUNDARY
    with connect(server.port, request) as connection:
        assert answer(connection)[0].status == 413
        assert connection.recv(1) == b""  # the rest is not waited for
    job_id = "01a2036a-3737-730f-8b75-355ab24a179b"
    line = f"Refused a callback from vendor 'acme' for job {job_id}: too_large"
    wait_for(lambda: line in server.log, "the line")


@pytest.mark.parametrize("path", PATHS + OTHERS)
def test_an_endless_body_is_refused_at_the_limit(port, temporary, path):
    with connect(port, head("POST", path, "Transfer-Encoding", "chunked")) as connection:
        with suppress(OSError):  # the server has answered and closed
            for _ in range(64):
                connection.sendall(b"10000\r\n%s\r\n" % bytes(65536))
        response, body = answer(connection)
    assert (response.status, json.loads(body)["code"]) == (413, "too_large")
    assert list(temporary.iterdir()) == []


def test_a_client_that_expects_100_continue_need_not_send_a_body_that_is_too_large(port):
    request = head("POST", "/jobs", "Content-Length", GB)
    request = request.replace(b"multipart/form-data; boundary=b", b"application/json")
    request = request.replace(b"Cookie", b"Expect: 100-continue\r\nCookie")
    with connect(port, request) as connection:
        assert connection.recv(12) == b"HTTP/1.1 413"


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/docs", "/schema", "/favicon.ico", "/", "/admin"]
)
@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "MADE-UP"]
)
def test_read_only_routes_refuse_other_methods_without_reading_the_body(
    port, temporary, path, method
):
    body = BOUNDARY + b"x" * 50_000 + b"\r\n--b--\r\n"
    request = head(method, path, "Content-Length", len(body)) + body
    status, said = problem(port, request)
    assert (status, said["code"]) == (405, "method_not_allowed")
    assert ask(port, request)[0].headers["Allow"] == "GET, HEAD"
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "PROPFIND", "MADE-UP", "CONNECT"])
@pytest.mark.parametrize("path", PATHS[:2])
def test_an_unknown_method_is_refused_with_an_allow_header(port, path, method):
    response, body = ask(port, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert (response.status, json.loads(body)["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize(
    "query",
    ["version=%0a", "lang=%00", "lang=../../x", "version=%00", "format=x", "lang=de", "a=%ff"],
)
def test_the_schema_ignores_parameters(port, query):
    request = "GET {}?" + query + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert ask(port, request.format("/schema").encode())[0].status == 200
    assert ask(port, request.format("/docs").encode())[0].status in (200, 404)
