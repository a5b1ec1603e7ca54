"""Through a proxy that passes only /vendor-webhook/, a vendor reaches the callback endpoint and no
other.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from harness.proxy.path import PathProxy
from harness.raw import ask

HERE = "/vendor-webhook/"


@pytest.fixture(scope="module")
def server(gunicorn):
    return gunicorn(SERVES="api,admin,webhooks")


@pytest.fixture(scope="module")
def send(server) -> Iterator[Callable[..., tuple[int, bytes]]]:
    """Send a request through the proxy; return status and body."""
    proxy = PathProxy(server.port, HERE.encode())

    def send(path: str, *headers: str, method: str = "GET") -> tuple[int, bytes]:
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
        response, body = ask(proxy.port, "\r\n".join([*head, "\r\n"]).encode("latin-1"))
        return response.status, body

    yield send
    proxy.close()


@pytest.mark.parametrize(
    "name", ["SCRIPT_NAME", "Script_Name", "script_name", "PATH_INFO", "X-Forwarded-Prefix"]
)
@pytest.mark.parametrize(
    "value", ["/vendor-webhook", "/vendor-webhook/", "/", "/jobs", "/elsewhere"]
)
@pytest.mark.parametrize("path", ["jobs", "healthz", "metrics", "admin/login/"])
def test_a_header_does_not_change_the_path(send, name, value, path):
    status, body = send(HERE + path, f"{name}: {value}")
    assert (status, json.loads(body)["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "header",
    [
        "X-Original-URL: /jobs",
        "X-Rewrite-URL: /jobs",
        "X-Original_URL: /jobs",
        "REQUEST_URI: /jobs",
        "RAW_URI: /jobs",
    ]
    + [
        "X-HTTP-Method-Override: GET",
        "X-Forwarded-Path: /jobs",
        "Forwarded: path=/jobs",
        "SCRIPT_URL: /",
        "REMOTE_USER: admin",
    ],
)
def test_a_header_does_not_select_another_path(send, header):
    assert json.loads(send(HERE + "jobs", header)[1])["code"] == "not_found"


@pytest.mark.parametrize(
    "rest",
    [
        "../jobs",
        "..%2fjobs",
        "%2e%2e/jobs",
        "%2e%2e%2fjobs",
        ".%2e/jobs",
        "..;/jobs",
        ";/../jobs",
        "..\\jobs",
        "..%5cjobs",
    ]
    + [
        "%00/../jobs",
        "//jobs",
        "/../jobs",
        "..//jobs",
        "?/../jobs",
        "%3f/../jobs",
        "%23/../jobs",
        "x/../../jobs",
        "\t/../jobs",
    ]
    + ["%0d%0a/jobs", "%252e%252e/jobs", "%c0%ae%c0%ae/jobs"],
)
@pytest.mark.parametrize("prefix", ["", "http://localhost", "http://other.example"])
def test_no_spelling_of_the_path_escapes_the_prefix(send, rest, prefix):
    status, body = send(f"{prefix}{HERE}{rest}")
    assert status in (400, 404)
    assert json.loads(body)["code"] in ("not_found", "bad_request_line")


@pytest.mark.parametrize(
    "target",
    [
        "//jobs",
        "/vendor-webhook;/jobs",
        "/vendor-webhook%2fjobs",
        "/%6aobs/",
        "/Jobs",
        "/./jobs",
        "*",
    ],
)
def test_without_a_proxy_no_other_spelling_reaches_a_route(server, target):
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert ask(server.port, request.encode())[0].status in (400, 404)


def test_a_header_does_not_make_a_request_https(server):
    """Over HTTPS, the console's forms would need a Referer, and the response would be 403."""
    head = (
        "{} /admin/login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        "X-Forwarded-Proto: https\r\n"
    )
    response, page = ask(server.port, f"{head.format('GET')}\r\n".encode())
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    token = page.partition(b'name="csrfmiddlewaretoken" value="')[2].partition(b'"')[0]
    form = b"csrfmiddlewaretoken=" + token
    headers = f"Cookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    post = f"{head.format('POST')}{headers}Content-Length: {len(form)}\r\n\r\n"
    assert ask(server.port, post.encode() + form)[0].status == 200


def test_redirects_are_paths_whatever_the_headers_say(server):
    head = (
        b"GET /admin HTTP/1.1\r\nHost: localhost\r\n"
        b"X-Forwarded-Host: evil\r\nConnection: close\r\n\r\n"
    )
    assert ask(server.port, head)[0].headers["Location"] == "/admin/"
