"""Logs have one line per event, no secrets from requests, and a limited rate."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from enrichlabs.tests.conftest import Gunicorn
from harness.mongodb import mongodb
from harness.raw import ask, connect
from harness.running import ROOT, environment
from harness.waiting import wait_for

ALL_ROUTES = "api,admin,webhooks,mock"
HOST = b"Host: localhost\r\n"
JOB_ID = "01a2036a-3737-730f-8b75-355ab24a179b"
CALLBACK = f"/vendor-webhook/acme/{JOB_ID}?token=SECRET".encode()
# Malformed requests.
REQUEST_OF_CHARSET_HEX = (
    b" HTTP/1.1\r\n" + HOST + b"Content-Type: x; charset=hex\r\nContent-Length: 2\r\n\r\n{}"
)
BROKEN = [
    b"POST " + CALLBACK + b"\xfc HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST " + CALLBACK + b" HTTP/9.9\r\n" + HOST + b"\r\n",
    b"SECRET\x01 / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\nAuthorization SECRET\r\n\r\n",
    b"GET / HTTP/1.1\r\nAuthori zation: SECRET\r\n\r\n",
    b"GET / HTTP/1.1\r\nAuthorization: SECRET\x01\r\n\r\n",
    b"GET / HTTP/1.1\r\nSECRET: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\nExpect: SECRET\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: SECRET\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n\r\n",
    b"GET /?SECRET=" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nAuthorization: SECRET" + b"a" * 9000 + b"\r\n\r\n",
]
# Requests that Django answers.
REFUSED = [
    b"POST " + CALLBACK + REQUEST_OF_CHARSET_HEX,
    b"GET " + CALLBACK + b" HTTP/1.1\r\n" + HOST + b"Content-Type: x; a*=hex''b\r\n\r\n",
    b"GET /nowhere?SECRET HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /jobs?SECRET=1 HTTP/1.1\r\n" + HOST + b"Content-Type: x; charset=hex\r\n\r\n",
    b"GET /jobs?limit=1&a=SECRET HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"DELETE /jobs?SECRET HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST /admin/login/?next=SECRET HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /admin/nowhere?SECRET HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST /mock-vendors/sync?status=500&seed=SECRET HTTP/1.1\r\n" + HOST + b"\r\n",
]


@pytest.fixture(params=["text", "json"])
def server(request: pytest.FixtureRequest, gunicorn: Callable[..., Gunicorn]) -> Gunicorn:
    # At the most verbose level.
    arguments = "--log-level=debug --access-logfile=/dev/stderr"
    variables = {"LOG_FORMAT": request.param, "LOG_LEVEL": "DEBUG"}
    return gunicorn(SERVES=ALL_ROUTES, GUNICORN_CMD_ARGS=arguments, **variables)


def test_no_line_quotes_a_query_or_header(server):
    for data in BROKEN:
        response, body = ask(server.port, data)
        assert response.status >= 400, data
        assert b"SECRET" not in body
    for data in REFUSED:
        ask(server.port, data)
    wait_for(lambda: "The mock vendor sync answered 500" in server.log, "the last line")
    assert "Refused a request from 127.0.0.1: bad_header" in server.log
    assert "SECRET" not in server.log


def test_a_client_that_disconnects_is_not_quoted(server):
    for data in (
        b"GET /?SECRET",
        b"POST " + CALLBACK + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nSECRET",
    ):
        connect(server.port, data).close()
    ask(server.port, b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
    assert "SECRET" not in server.log


@pytest.fixture(scope="module")
def quiet(gunicorn: Callable[..., Gunicorn]) -> Gunicorn:
    return gunicorn(SERVES=ALL_ROUTES, LOG_FORMAT="json")


def lines(server: Gunicorn) -> list[dict[str, str]]:
    return [json.loads(line) for line in server.log.splitlines()]


@pytest.fixture
def line_of(quiet: Gunicorn) -> Callable[[bytes], dict[str, str]]:
    """Send a request, assert that it leaves one line, and return that line."""

    def line_of(data: bytes) -> dict[str, str]:
        before = len(lines(quiet))
        ask(quiet.port, data)
        ask(quiet.port, b"GET /the-end HTTP/1.1\r\n" + HOST + b"\r\n")
        after = wait_for(
            lambda: lines(quiet)[before:] if "/the-end" in lines(quiet)[-1]["message"] else [],
            "the lines",
        )
        assert [line["message"] for line in after[1:]] == ["Not Found: /the-end"], after
        return after[0]

    return line_of


@pytest.mark.parametrize(
    ("data", "level", "logger", "message"),
    [
        (
            BROKEN[0],
            "warning",
            "gunicorn.error",
            "Refused a request from 127.0.0.1: bad_request_line",
        ),
        (
            b"GET /a%0a%0d" + b"b" * 3000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
            "info",
            "django.request",
            r"Not Found: /a\n\rbbb*",
        ),
        (
            b"DELETE /jobs HTTP/1.1\r\n" + HOST + b"\r\n",
            "info",
            "django.request",
            "Method Not Allowed: /jobs",
        ),
        (
            b"GET /jobs HTTP/1.1\r\nHost: evil" + b"l" * 100 + b"\r\n\r\n",
            "warning",
            "django.security.DisallowedHost",
            f"Refused a request: its host 'evil{'l' * 46}' is not in ALLOWED_HOSTS",
        ),
        (
            b"GET /vendor-webhook/%s%s HTTP/1.1\r\n%s\r\n" % (b"a" * 900, CALLBACK[20:], HOST),
            "warning",
            "webhooks.views",
            f"Refused a callback from vendor '{'a' * 50}' for job {JOB_ID}: method_not_allowed",
        ),
        (
            b"HEAD /nowhere HTTP/1.1\r\n" + HOST + b"\r\n",
            "info",
            "django.request",
            "Not Found: /nowhere",
        ),
        (
            b"POST /mock-vendors/sync?status=500 HTTP/1.1\r\n" + HOST + b"\r\n",
            "info",
            "vendors.mock.views",
            "The mock vendor sync answered 500, as configured",
        ),
    ],
)
def test_an_event_is_one_line(line_of, data, level, logger, message):
    line = line_of(data)
    assert (line["level"], line["logger"]) == (level, logger)
    begins, any_end, _ = message.partition("*")
    assert line["message"].startswith(begins) if any_end else line["message"] == message
    assert len(line["message"]) < 300
    assert "traceback" not in line


def test_a_store_that_fails_is_one_line(gunicorn, tmp_path):
    empty = f"sqlite://{tmp_path}/empty.sqlite3"
    server = gunicorn(SERVES=ALL_ROUTES, LOG_FORMAT="json", DATABASE_URL=empty)
    response, _ = ask(server.port, b"GET /jobs HTTP/1.1\r\n" + HOST + b"\r\n")
    assert response.status == 503
    [line] = [line for line in lines(server) if line["level"] != "info"]
    assert (line["level"], line["logger"]) == ("error", "jobs.api.problems")
    assert line["message"].startswith("The store does not answer.")
    assert len(line["message"]) < 300
    assert "traceback" not in line


def test_a_flood_writes_ten_lines_a_second_and_counts_the_rest(quiet):
    kept = connect(quiet.port)
    for _ in range(300):
        kept.sendall(b"GET /flood HTTP/1.1\r\nHost: flood\r\n\r\n")
        wait_for(lambda: b"}" in kept.recv(65536), "an answer")

    def messages(logger: str) -> list[str]:
        found = [line["message"] for line in lines(quiet) if line["logger"] == logger]
        return [message for message in found if "host" in message]

    def counted() -> int:
        return sum(int(message.split()[0]) for message in messages("enrichlabs.logs"))

    def written() -> int:
        return sum("'flood'" in message for message in messages("django.security.DisallowedHost"))

    wait_for(lambda: written() + counted() == 300, "the rest to be counted")
    assert written() <= 10 * (len(messages("enrichlabs.logs")) + 1)


def prepare(folder, **variables):
    """Run `python -m enrichlabs.prepare`."""
    return subprocess.run(
        [sys.executable, "-m", "enrichlabs.prepare"],
        cwd=ROOT,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_drivers_do_not_log_commands_at_debug(tmp_path):
    """At DEBUG, pymongo would log each command, with the hash of the first user's password."""
    with mongodb() as (url, _):
        variables = {"LOG_LEVEL": "DEBUG", "ADMIN_PASSWORD": "John-Doe-123", "DEBUG": 1}
        ended = prepare(tmp_path, DATABASE_URL=url, **variables)
    assert ended.returncode == 0, ended.stderr
    assert "pbkdf2" not in ended.stdout + ended.stderr
    assert "DEBUG pymongo" not in ended.stderr


def test_a_startup_error_is_a_json_object_too(tmp_path):
    ended = prepare(tmp_path, DATABASE_URL="nonsense://", LOG_FORMAT="json")
    (line,) = ended.stderr.splitlines()
    assert "DATABASE_URL" in json.loads(line)["message"]
