"""Anything but exactly one HTTP response is a bad reply, and ends the connection."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from harness.waiting import wait_for
from vendors.base import Reply, VendorError
from vendors.http.call import post_json

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def post(server: Server, **options: object) -> Reply:
    return post_json(
        server.url, {"name": "John Doe"}, headers={}, **{"timeout_seconds": 20, **options}
    )


def error_of(server: Server) -> VendorError:
    with pytest.raises(VendorError) as caught:
        post(server).json_object()
    return caught.value


def once(data: bytes) -> Callable[[Visit], None]:
    """Answer the first request of each connection with `data`, and close it after the next."""

    def talk(visit: Visit) -> None:
        visit.read_request()
        visit.send(data)
        visit.read_request()

    return talk


def interim(status: str, count: int) -> bytes:
    return f"HTTP/1.1 {status}\r\nLink: </style.css>\r\n\r\n".encode() * count


@pytest.mark.parametrize(
    "status", ["100 Continue", "102 Processing", "103 Early Hints", "110 Unknown"]
)
@pytest.mark.parametrize("count", [1, 10])
def test_interim_responses_are_skipped(
    status: str, count: int, serve: Callable[..., Server]
) -> None:
    server = serve(answering(interim(status, count) + reply()))
    assert [post(server).json_object()["name"] for _ in range(2)] == ["John Doe", "John Doe"]
    assert server.visits == 1


def test_a_final_response_after_an_interim_one_belongs_to_the_same_call(
    serve: Callable[..., Server],
) -> None:
    def talk(visit: Visit) -> None:
        while visit.read_request():
            visit.send(interim("102 Processing", 1))
            visit.server.stopped.wait(0.1)
            visit.send(reply(body=b'{"n": %d}' % len(visit.server.requests)))

    server = serve(talk)
    assert [post(server).json_object()["n"] for _ in range(3)] == [1, 2, 3]


BAD = {
    "eleven interim responses": interim("103 Early Hints", 11) + reply(),
    "interim responses without end": interim("100 Continue", 100_000),
    "another protocol": interim("101 Switching Protocols", 1) + reply(),
    "101 header lines": OK + b"X-A: b\r\n" * 101 + b"\r\n",
    "a header of 64 KiB": reply(X_Long="x" * 65_536),
    "an interim head of 64 KiB": interim(f"103 {'x' * 65_536}", 1) + reply(),
    "two lengths": reply(Content_length="21"),
    "two lengths in one header": OK + b"Content-Length: 2, 3\r\n\r\n{}",
    "a length below zero": OK + b"Content-Length: -2\r\n\r\n{}",
    "a length that is not a number": OK + b"Content-Length: two\r\n\r\n{}",
    "a length with a sign": OK + b"Content-Length: +2\r\n\r\n{}",
    "a length in hexadecimal": OK + b"Content-Length: 0x2\r\n\r\n{}",
    "a length of 5000 digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "an unknown coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two codings": OK
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a line that is not a header": OK + b"no header\r\nContent-Length: 2\r\n\r\n{}",
    "a blank before the colon": OK + b"Content-Length : 2\r\n\r\n{}",
    "a continued line without a header": OK + b" folded\r\nContent-Length: 2\r\n\r\n{}",
    "not HTTP": b"SSH-2.0-OpenSSH_9\r\n",
    "not HTTP, without a line end": b"\x15\x03\x01\x00\x02\x02\x46" * 10_000,
    "a JSON object alone": b'{"name": "John Doe"}\r\n',
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\n\r\n{}",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a status that is not a number": b"HTTP/1.1 OK\r\n\r\n",
    "a status with a sign": b"HTTP/1.1 +200 OK\r\n\r\n",
    "a chunk without a size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk with a size below zero": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a size that is not a number": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a chunk with a size of many digits": CHUNKED + b"f" * 100 + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"2\r\n{}{}\r\n0\r\n\r\n",
    "too many chunks": CHUNKED + b"1\r\n \r\n" * 50_001 + b"2\r\n{}\r\n0\r\n\r\n",
    "64 KiB of trailers": CHUNKED
    + b"2\r\n{}\r\n0\r\n"
    + (b"X-Trailer: " + b"x" * 1000 + b"\r\n") * 65
    + b"\r\n",
    "101 trailers": CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X-Trailer: x\r\n" * 101 + b"\r\n",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_an_invalid_response_is_a_bad_reply(data: bytes, serve: Callable[..., Server]) -> None:
    server = serve(once(data))
    error = error_of(server)
    assert (error.code, error.permanent, error.outage, error.outcome_known) == (
        "bad_reply",
        False,
        False,
        False,
    )
    assert error.message.startswith("The vendor's answer is not valid HTTP: ")
    assert "John" not in error.message
    assert error.message.endswith(".")
    server.talk = answering(reply())
    assert post(server).json_object() == {"name": "John Doe"}
    assert server.visits == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HT",
        b"HTTP/1.1 200",
        OK,
        OK + b"Content-Length: 2\r\n",
        OK + b"Content-Length: 2\r\n\r\n{",
        interim("102 Processing", 1),
        CHUNKED,
        CHUNKED + b"2",
        CHUNKED + b"5\r\n{}",
        CHUNKED + b"2\r\n{}",
        CHUNKED + b"2\r\n{}\r\n",
        CHUNKED + b"2\r\n{}\r\n0\r\n",
    ],
)
def test_a_truncated_response_is_a_lost_connection(
    data: bytes, serve: Callable[..., Server]
) -> None:
    def talk(visit: Visit) -> None:
        visit.read_request()
        visit.send(data)

    error = error_of(serve(talk))
    assert (error.code, error.outage, error.outcome_known) == ("connection_lost", True, False)


def test_a_response_in_too_many_pieces_is_a_bad_reply(
    serve: Callable[..., Server], monkeypatch: object
) -> None:
    monkeypatch.setattr("vendors.http.response.MAX_READS", 10)

    def talk(visit: Visit) -> None:
        visit.read_request()
        visit.drip(reply(), gap_seconds=0.01)

    error = error_of(serve(talk))
    assert (error.code, error.message) == (
        "bad_reply",
        "The vendor's answer is not valid HTTP: it came in more than 10 pieces.",
    )


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Length: 2, 2\r\n\r\n{}",
        OK + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Length:\r\n 2\r\n\r\n{}",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
        CHUNKED + b"1;a=b\r\n{\r\n01 \r\n}\r\n0\r\nX-Trailer: x\r\n\r\n",
    ],
)
def test_an_unusual_but_unambiguous_response_is_read(
    data: bytes, serve: Callable[..., Server]
) -> None:
    server = serve(answering(data))
    assert [post(server).json_object() for _ in range(2)] == [{}, {}]
    assert server.visits == 1


def test_chunks_override_a_length_and_end_the_connection(
    serve: Callable[..., Server],
) -> None:
    both = b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    server = serve(answering(OK + both))
    assert [post(server).json_object() for _ in range(2)] == [{}, {}]
    assert server.visits == 2


STRAY = [
    b"\r\n",
    b"x",
    reply(body=b'{"name": "smuggled"}'),
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"x" * 100_000,
]


@pytest.mark.parametrize("stray", STRAY)
@pytest.mark.parametrize(
    "data",
    [
        reply(),
        reply("204 No Content", body=b""),
        reply("422 No"),
        CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",
        reply("304 Not", b"x"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_a_connection_with_bytes_after_the_response_is_not_reused(
    data: bytes, stray: bytes, late: bool, serve: Callable[..., Server]
) -> None:
    def talk(visit: Visit) -> None:
        visit.read_request()
        visit.send(data + (b"" if late else stray))
        if late:
            visit.server.stopped.wait(0.02)
            visit.send(stray)
        sent.append(True)
        visit.read_request()

    sent: list[bool] = []
    server = serve(talk)
    for number in (1, 2, 3):
        with suppress(VendorError):
            post(server)
        wait_for(lambda number=number: len(sent) >= number, "all that the server sends")
    assert server.visits == 3
