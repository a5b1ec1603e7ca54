"""The ways in which the hostile server answers a call, and the outcomes that each allows."""

import socket
import time
from collections.abc import Callable
from typing import Any

from harness.vendor.server import RESET
from loadtest.hostile import Exchange

TIMEOUT_SECONDS = 0.5  # of the client
LATE_SECONDS = [0.001, 0.005, 0.02]


def plain(exchange: Exchange) -> None:
    exchange.send(exchange.response())


def interim(exchange: Exchange) -> None:
    for head in exchange.interim(exchange.chance.randint(1, 10)):
        exchange.send(head)
        exchange.pause()
    exchange.send(exchange.response())


def interim_at_once(exchange: Exchange) -> None:
    heads = b"".join(exchange.interim(exchange.chance.randint(1, 10)))
    exchange.send(heads + exchange.response())


def too_many_interim(exchange: Exchange) -> None:
    exchange.send(b"".join(exchange.interim(11)) + exchange.response())


def switching(exchange: Exchange) -> None:
    exchange.send(exchange.response("101 Switching Protocols", body=b"", length=""))
    exchange.pause()
    exchange.send(exchange.response())


def split(exchange: Exchange) -> None:
    data = exchange.response()
    while data:
        size = exchange.chance.randint(1, max(1, len(data) // 3))
        exchange.send(data[:size])
        exchange.pause()
        data = data[size:]


def doubled(exchange: Exchange) -> None:
    exchange.send(exchange.response() + exchange.response())


def followed_by_stray_bytes(exchange: Exchange) -> None:
    status = exchange.chance.choice(["200 OK", "422 No", "500 Oops"])
    exchange.send(exchange.response(status) + exchange.stray())


def doubled_late(exchange: Exchange) -> None:
    exchange.send(exchange.response())
    time.sleep(exchange.chance.choice(LATE_SECONDS))
    exchange.send(exchange.response())


def stray_bytes_late(exchange: Exchange) -> None:
    is_chunked = exchange.chance.random() < 0.5
    exchange.send(exchange.chunked() if is_chunked else exchange.response())
    time.sleep(exchange.chance.choice(LATE_SECONDS))
    exchange.send(exchange.stray())


def longer_than_declared(exchange: Exchange) -> None:
    body = exchange.body()
    exchange.send(exchange.response(body=body + exchange.response(), length=len(body)))


def shorter_than_declared(exchange: Exchange) -> None:
    exchange.send(exchange.response(length=100_000))
    if exchange.chance.random() < 0.1:
        time.sleep(TIMEOUT_SECONDS * 1.5)
        exchange.send(exchange.response())
    raise ConnectionError


def closes_despite_keep_alive(exchange: Exchange) -> None:
    exchange.send(exchange.response(Connection="keep-alive", Keep_Alive="timeout=60"))
    raise ConnectionError


def stays_open_despite_close(exchange: Exchange) -> None:
    exchange.send(exchange.response(Connection="close"))
    exchange.pause()
    exchange.send(exchange.stray())


def http_1_0_keep_alive(exchange: Exchange) -> None:
    response = exchange.response(Connection="keep-alive")
    exchange.send(response.replace(b"HTTP/1.1", b"HTTP/1.0", 1))


def without_length(exchange: Exchange) -> None:
    exchange.send(exchange.response(length=""))
    raise ConnectionError


def chunked(exchange: Exchange) -> None:
    exchange.send(exchange.chunked())


def chunked_with_trailers(exchange: Exchange) -> None:
    count = exchange.chance.randint(1, 50)
    exchange.send(exchange.chunked(b"".join(b"X-Trailer-%d: x\r\n" % n for n in range(count))))


def chunked_then_stray(exchange: Exchange) -> None:
    exchange.send(exchange.chunked() + exchange.stray())


def chunked_and_length(exchange: Exchange) -> None:
    length = exchange.chance.choice([5, 20, 100_000])
    exchange.send(exchange.chunked(length=length) + exchange.response())


def bad_chunks(exchange: Exchange) -> None:
    head = exchange.response(body=b"", length="", Transfer_Encoding="chunked")
    size = exchange.chance.choice([b"zz", b"-5", b"+5", b"0x5", b"5 5", b"", b"f" * 40, b"1_0"])
    chunk = size + b"\r\n" + exchange.body() + b"\r\n0\r\n\r\n"
    exchange.send(head + chunk + exchange.response())


def chunk_longer_than_declared(exchange: Exchange) -> None:
    head = exchange.response(body=b"", length="", Transfer_Encoding="chunked")
    chunk = b"5\r\n" + exchange.body() + b"\r\n0\r\n\r\n"
    exchange.send(head + chunk + exchange.response())


def odd_coding(exchange: Exchange) -> None:
    codings = ["gzip, chunked", "chunked, chunked", "deflate", "chunked, identity"]
    coding = exchange.chance.choice(codings)
    exchange.send(exchange.chunked(Transfer_Encoding=coding) + exchange.response())


def bad_length(exchange: Exchange) -> None:
    length = exchange.chance.choice(["-5", "5, 6", "abc", "0x10", "1_0", "+5", "9" * 30])
    exchange.send(exchange.response(length=length) + exchange.response())


def body_where_none_belongs(exchange: Exchange) -> None:
    exchange.send(exchange.response("304 Not Modified"))


def early(exchange: Exchange) -> None:
    """Answers before it has read the body of the request."""
    exchange.send(exchange.response())
    exchange.pause()


def refused(exchange: Exchange) -> None:
    statuses = ["404 Not Found", "422 No", "302 Found", "409 Conflict"]
    exchange.send(exchange.response(exchange.chance.choice(statuses)))


def failed(exchange: Exchange) -> None:
    statuses = ["500 Oops", "503 Away", "408 Late"]
    exchange.send(exchange.response(exchange.chance.choice(statuses)))


def garbage(exchange: Exchange) -> None:
    tls_alert = b"\x15\x03\x01\x00\x02\x02\x46\n"
    starts = [b"SSH-2.0-x\r\n", tls_alert, b"HTTP/2 200\r\n\r\n", b"\r\n", b"ICY 200 OK\r\n"]
    exchange.send(exchange.chance.choice(starts) + exchange.response())


def bad_head(exchange: Exchange) -> None:
    many = {f"X_{n}": n for n in range(101)}
    odd: list[dict[str, Any]] = [
        {"A": "x" * 70_000},
        many,
        {"X_Odd ": "1"},
        {"A": "b\r\nno header"},
    ]
    exchange.send(exchange.response(**exchange.chance.choice(odd)) + exchange.response())


def broken_off(exchange: Exchange) -> None:
    data = exchange.response()
    exchange.send(data[: exchange.chance.randint(0, len(data) - 1)])
    if exchange.chance.random() < 0.5:
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    raise ConnectionError


Behaviour = Callable[[Exchange], None]

OUTCOMES: dict[Behaviour, set[str]] = {
    plain: {"done"},
    interim: {"done"},
    interim_at_once: {"done"},
    too_many_interim: {"bad_reply"},
    switching: {"bad_reply"},
    split: {"done"},
    doubled: {"done"},
    followed_by_stray_bytes: {"done", "invalid_input", "vendor_error"},
    doubled_late: {"done"},
    stray_bytes_late: {"done"},
    longer_than_declared: {"done"},
    shorter_than_declared: set(),
    closes_despite_keep_alive: {"done"},
    stays_open_despite_close: {"done"},
    http_1_0_keep_alive: {"done"},
    without_length: {"done"},
    chunked: {"done"},
    chunked_with_trailers: {"done"},
    chunked_then_stray: {"done"},
    chunked_and_length: {"done"},
    bad_chunks: {"bad_reply"},
    chunk_longer_than_declared: {"bad_reply"},
    odd_coding: {"bad_reply"},
    bad_length: {"bad_reply"},
    body_where_none_belongs: {"invalid_input"},
    early: {"done"},
    refused: {"invalid_input"},
    failed: {"vendor_error"},
    garbage: {"bad_reply"},
    bad_head: {"bad_reply"},
    broken_off: set(),
}
# Possible for any call: the machine is slow, or a kept connection is just being closed.
ALWAYS_POSSIBLE = {"timeout", "connection_lost", "vendor_unreachable"}
LATE = {doubled_late, stray_bytes_late}
FREQUENT = (plain, interim, chunked)
