"""`request`: any method, any body, and the answer of any status."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from vendors.base import Reply, VendorError
from vendors.http import error_of, post_json, request
from vendors.http.exchanges import note_decision, watched


def send(method: str, url: str, **options: object) -> Reply:
    return request(method, url, **{"headers": {}, "timeout_seconds": 5, **options})


def parts_of(sent: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return (
        first,
        {name.lower(): value for name, value in (line.split(": ") for line in lines)},
        body,
    )


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", b"", None),
        ("delete", b"", None),
        ("POST", b"", "0"),
        ("PUT", b"a=b&c=%C3%BC", "12"),
        ("GET", b"{}", "2"),
    ],
)
def test_the_method_the_query_and_the_body_are_sent_as_given(
    method: str, body: bytes, length: str | None, serve: Callable[..., Server]
) -> None:
    server = serve(answering(reply("404 Not Found", b'["nobody"]')))
    for _ in range(2):
        answer = send(method, server.url + "people/a%2Fb?email=a%40b.test&x=1+2", body=body)
        assert (answer.status, answer.json()) == (404, ["nobody"])
    first, headers, sent = parts_of(server.requests[0])
    assert first == f"{method.upper()} /people/a%2Fb?email=a%40b.test&x=1+2 HTTP/1.1"
    assert (sent, headers.get("content-length")) == (body, length)
    assert "content-type" not in headers
    assert server.visits == 1


def test_given_headers_replace_ours_whatever_their_case(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply()))
    with watched() as exchanges:
        send("POST", server.url, body=b"[1]", headers={"user-agent": "Mine", "content-type": "x/y"})
        note_decision("found", "default")
    _, headers, _ = parts_of(server.requests[0])
    assert (headers["user-agent"], headers["content-type"]) == ("Mine", "x/y")
    (exchange,) = exchanges
    assert (exchange.method, exchange.outcome, exchange.rule) == ("POST", "found", "default")
    assert [
        exchange.headers[name] for name in exchange.headers if name.lower() == "user-agent"
    ] == ["Mine"]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\n\r\n",
    ],
)
def test_an_answer_to_head_has_no_body(head: bytes, serve: Callable[..., Server]) -> None:
    server = serve(answering(head, head, reply()))
    assert [send("HEAD", server.url).body for _ in range(2)] == [b"", b""]
    assert send("GET", server.url).json() == {"name": "John Doe"}
    assert server.visits == 1


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "429 Slow", "500 Oops"])
def test_the_body_of_any_status_is_bounded(status: str, serve: Callable[..., Server]) -> None:
    server = serve(answering(reply(status, b"x" * 1_048_576), reply(status, b"x" * 1_048_577)))
    assert send("GET", server.url).body == b"x" * 1_048_576
    with pytest.raises(VendorError, match="is longer than 1048576 bytes") as caught:
        send("GET", server.url)
    assert (caught.value.code, caught.value.reply.status) == ("bad_reply", int(status[:3]))


def test_a_redirect_is_an_answer_like_others(serve: Callable[..., Server]) -> None:
    target = serve(answering(reply()))
    server = serve(answering(reply("307 Moved", b"there", Location=target.url)))
    answer = send("GET", server.url)
    assert (answer.status, answer.body, answer.headers["location"]) == (307, b"there", target.url)
    assert target.visits == 0


def test_an_answer_that_is_cut_off_is_none(serve: Callable[..., Server]) -> None:
    def talk(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 50\r\n\r\nhalf")

    with pytest.raises(VendorError) as caught:
        send("GET", serve(talk).url)
    assert (caught.value.code, caught.value.outcome_known) == ("connection_lost", False)
    assert (caught.value.reply.status, caught.value.reply.body) == (404, b"half")


def test_a_body_that_is_not_needed_is_not_waited_for(serve: Callable[..., Server]) -> None:
    def talk(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 402 Pay\r\nContent-Length: 50\r\n\r\nhalf")
        visit.hang()

    answer = send("GET", serve(talk).url, needs_body=False)
    assert (answer.status, answer.body) == (402, b"")


@pytest.mark.parametrize(
    ("body", "value"), [(b"[1]", [1]), (b"null", None), (b'"x"', "x"), (b"1.5", 1.5)]
)
def test_json_returns_any_value(body: bytes, value: object) -> None:
    assert Reply(200, {}, body).json() == value


@pytest.mark.parametrize("body", [b"", b"<html>", b"[NaN]", b"[" * 5000])
def test_json_refuses_what_is_none(body: bytes) -> None:
    with pytest.raises(VendorError) as caught:
        Reply(200, {}, body).json()
    assert (caught.value.code, caught.value.outcome_known) == ("bad_reply", False)


def test_error_of_is_what_a_post_would_raise(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply("429 Slow", Retry_After="7")))
    error = error_of(send("GET", server.url))
    with pytest.raises(VendorError) as caught:
        post_json(server.url, {}, headers={}, timeout_seconds=5)
    assert vars(error) == vars(caught.value)
    assert error.retry_after == timedelta(seconds=7)


def test_both_calls_share_a_connection(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply()))
    send("GET", server.url)
    post_json(server.url, {"a": 1}, headers={}, timeout_seconds=5)
    send("HEAD", server.url)
    assert server.visits == 1
