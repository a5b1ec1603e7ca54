"""The outcome of a call: a Reply, or a VendorError with its code."""

import gzip
import json
import socket
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from vendors.base import Reply, VendorError
from vendors.http.call import post_json


def post(url: str, **options: object) -> Reply:
    return post_json(url, {"name": "John Doe"}, headers={}, **{"timeout_seconds": 5, **options})


def error_of(url: str, **options: object) -> VendorError:
    with pytest.raises(VendorError) as caught:
        post(url, **options).json_object()
    assert "John" not in caught.value.message
    return caught.value


def test_the_payload_is_sent_as_json_and_compression_is_declined(
    serve: Callable[..., Server],
) -> None:
    server = serve(answering(reply("201 Created")))
    answer = post_json(server.url, {"name": "Zoë"}, headers={"X-Mine": "yes"}, timeout_seconds=5)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert json.loads(body) == {"name": "Zoë"}
    assert {b"Content-Type: application/json", b"Accept-Encoding: identity", b"X-Mine: yes"} <= set(
        head.split(b"\r\n")
    )
    assert (answer.status, answer.headers["content-LENGTH"]) == (201, "20")


@pytest.mark.parametrize(
    ("status", "code", "permanent", "outage"),
    [
        ("500 Oops", "vendor_error", False, True),
        ("503 Away", "vendor_error", False, True),
        ("429 Slow", "rate_limited", False, False),
        ("401 Who", "auth", False, False),
        ("422 No", "invalid_input", True, False),
        ("301 Moved", "invalid_input", True, False),
    ],
)
def test_a_status_is_raised_with_its_code(
    status: str, code: str, permanent: bool, outage: bool, serve: Callable[..., Server]
) -> None:
    error = error_of(serve(answering(reply(status, body=b"secret text"))).url)
    assert (error.code, error.permanent, error.outage, error.outcome_known) == (
        code,
        permanent,
        outage,
        True,
    )
    assert status[:3] in error.message
    assert "secret" not in error.message


def test_retry_after_is_in_the_error(serve: Callable[..., Server]) -> None:
    error = error_of(serve(answering(reply("503 Away", Retry_After="7"))).url)
    assert (error.code, error.retry_after, error.outage) == (
        "rate_limited",
        timedelta(seconds=7),
        False,
    )


def test_a_redirect_is_not_followed_and_its_body_not_read(serve: Callable[..., Server]) -> None:
    target = serve(answering(reply()))

    def redirect(visit: Visit) -> None:
        visit.read_request()
        visit.send(f"HTTP/1.1 302 Found\r\nLocation: {target.url}\r\n\r\n".encode())
        while True:
            visit.send(b"x" * 65536)

    began = time.monotonic()
    assert error_of(serve(redirect).url).code == "invalid_input"
    assert time.monotonic() - began < 4
    assert target.visits == 0


def test_a_refused_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = error_of(f"http://127.0.0.1:{port}/?key=secret")
    assert (error.code, error.outage, error.outcome_known) == ("vendor_unreachable", True, True)
    assert error.message == "The vendor could not be reached: it refused the connection."


def test_an_unresolvable_name_is_unreachable() -> None:
    error = error_of("http://vendor.invalid/")
    assert (error.code, error.message) == (
        "vendor_unreachable",
        "The vendor could not be reached: its host name can't be resolved.",
    )


@pytest.mark.parametrize(
    "url",
    ["http://a..b/", f"http://{'a' * 70}.test/", "http://[::1/", "ftp://127.0.0.1/", "nonsense"],
)
def test_an_invalid_url_is_unreachable(url: str) -> None:
    assert error_of(url).code == "vendor_unreachable"


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\nX-A", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"]
)
@pytest.mark.parametrize(
    "end", [Visit.reset, lambda visit: visit.connection.close()], ids=["reset", "close"]
)
def test_a_truncated_answer_is_a_lost_connection(
    sent: bytes, end: Callable[[Visit], None], serve: Callable[..., Server]
) -> None:
    def talk(visit: Visit) -> None:
        visit.read_request()
        visit.send(sent)
        end(visit)

    error = error_of(serve(talk).url)
    assert (error.code, error.outage, error.outcome_known) == ("connection_lost", True, False)


def hang_in_body(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 429 Slow\r\nContent-Length: 50\r\nRetry-After: 7\r\n\r\n{")
    visit.hang()


def test_a_status_counts_although_its_body_never_arrives(serve: Callable[..., Server]) -> None:
    began = time.monotonic()
    assert error_of(serve(hang_in_body).url).retry_after == timedelta(seconds=7)
    assert time.monotonic() - began < 4


def endless(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        visit.send(b"x" * 65536)


BOMB = gzip.compress(b" " * 100_000_000)


@pytest.mark.parametrize(
    "talk",
    [
        endless,
        answering(reply(body=b" " * 1_048_575 + b"{}")),
        answering(reply(body=BOMB, Content_Encoding="gzip")),
    ],
    ids=["endless", "one byte too long", "gzip bomb"],
)
def test_an_answer_over_the_size_limit_is_a_bad_reply(
    talk: object, serve: Callable[..., Server]
) -> None:
    error = error_of(serve(talk).url)
    assert (error.code, error.permanent, error.outage, error.outcome_known) == (
        "bad_reply",
        False,
        False,
        False,
    )
    assert error.message == "The vendor's answer (status 200) is longer than 1048576 bytes."


def test_an_answer_of_the_maximum_size_is_read(serve: Callable[..., Server]) -> None:
    assert post(serve(answering(reply(body=b" " * 1_048_574 + b"{}"))).url).json_object() == {}


def test_a_compressed_answer_is_decoded(
    serve: Callable[..., Server],
) -> None:
    assert post(
        serve(answering(reply(body=gzip.compress(b'{"a": 1}'), Content_Encoding="gzip"))).url
    ).json_object() == {"a": 1}


@pytest.mark.parametrize("headers", [{}, {"Content_Encoding": "gzip"}], ids=["plain", "not gzip"])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b'{"a": NaN}', b'{"a": 1e999}', b"[" * 5000, b"\xff\xfe\xff"]
)
def test_an_answer_that_is_not_a_json_object_is_a_bad_reply(
    body: bytes, headers: dict[str, str], serve: Callable[..., Server]
) -> None:
    error = error_of(serve(answering(reply(body=body, **headers))).url)
    assert (error.code, error.permanent, error.outage, error.outcome_known) == (
        "bad_reply",
        False,
        False,
        False,
    )


@pytest.mark.parametrize("talk", [endless, answering(reply(body=b"<html>"))])
def test_a_bad_body_does_not_matter_when_none_is_needed(
    talk: object, serve: Callable[..., Server]
) -> None:
    answer = post(serve(talk).url, needs_body=False)
    assert (answer.status, answer.body) == (200, b"")
