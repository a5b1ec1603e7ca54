"""A request is the same request, and the next one begins where it ends, however its bytes are split
into packets.
"""

import random
import re
import socket
from collections.abc import Callable

import pytest

from harness.raw import connect, problem

HOST = b"Host: localhost\r\n"
GET = b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
LENGTH = POST + b"CONTENT-LENGTH:\t9  \r\n\r\n" + b'["a",  1]'
CHUNKED = (
    POST
    + b"transfer-encoding: Chunked\r\n\r\n"
    + b'4;x="y"\r\n["a"\r\n5\r\n,  1]\r\n0\r\nX-Trailer: a\r\n\r\n'
)
EXPECTING = POST + b"Content-Length: 2\r\nEXPECT:  100-Continue\r\n\r\n[]"
ABSOLUTE = b"GET http://localhost/nowhere?a=http://b/c HTTP/1.1\r\n" + HOST + b"\r\n"
EMPTY = b"\r\n" + POST + b"Content-Length: 0\r\n\r\n"
LAST = b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
TRAFFIC = LENGTH + GET + CHUNKED + CHUNKED + EXPECTING + ABSOLUTE + EMPTY + GET + LAST
STATUSES = [400, 404, 400, 400, 400, 404, 400, 404, 200]
CODES = [
    "not_an_object",
    "not_found",
    "not_an_object",
    "not_an_object",
    "not_an_object",
    "not_found",
    "invalid_json",
    "not_found",
]


@pytest.fixture(scope="module")
def port(serve: Callable[..., int]) -> int:
    return serve(GUNICORN_CMD_ARGS="--worker-class=harness.gunicorn_workers.PatientWorker")


def answers(connection: socket.socket) -> tuple[list[int], list[str]]:
    """Return statuses and codes of all responses but 100 Continue, until the connection closes."""
    whole = b"".join(iter(lambda: connection.recv(65536), b""))
    heads = [head.partition(b"\r\n")[0] for head in whole.split(b"HTTP/1.1 ")[1:]]
    codes = [code.decode() for code in re.findall(rb'"code": "(\w+)"', whole)]
    return [int(head[:3]) for head in heads if head[:3] != b"100"], codes


@pytest.mark.parametrize("seed", range(40))
def test_requests_are_read_from_random_pieces(port, seed):
    dice = random.Random(seed)
    cuts = sorted(dice.sample(range(1, len(TRAFFIC)), dice.choice([0, 1, 2, 5, 20])))
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin, end in zip([0, *cuts], [*cuts, len(TRAFFIC)], strict=True):
            connection.sendall(TRAFFIC[begin:end])
        assert answers(connection) == (STATUSES, CODES)


def test_requests_are_read_byte_by_byte(port):
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(TRAFFIC)):
            connection.sendall(TRAFFIC[at : at + 1])
        assert answers(connection) == (STATUSES, CODES)


def test_a_client_that_expects_100_continue_gets_it_once_before_its_body(port):
    head, body = EXPECTING[:-2], EXPECTING[-2:]
    with connect(port, head) as connection:
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body + LAST)
        assert answers(connection) == ([400, 200], ["not_an_object"])


def test_a_response_without_a_body_is_sent_at_once(port):
    head = b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    with connect(port) as connection:
        for _ in range(3):
            connection.sendall(head)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_head_and_body_of_a_response_are_sent_together(port):
    with connect(port, GET) as connection:
        assert connection.recv(65536).endswith(b"}")


def test_a_body_that_ends_early_is_a_bad_request(port):
    with connect(port, LENGTH[:-1]) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert answers(connection) == ([400], ["body_cut_short"])


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET / HTTP/1.1\n\n", 400, "bad_request_line"),
        (b"\r\n\r\n", 400, "bad_request_line"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "address_too_long"),
        (b"GET /" + b"a" * 100_000, 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\nCookie: " + b"a" * 9000 + b"\r\n\r\n", 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431, "head_too_large"),
        (b"GET / HTTP/3.0\r\n\r\n", 400, "bad_request_line"),
        (b"get / HTTP/1.1\r\n\r\n", 400, "bad_request_line"),
        (b"GET  / HTTP/1.1\r\n\r\n", 400, "bad_request_line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_header"),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400, "bad_header"),
        (
            POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_header",
        ),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n[]", 400, "bad_header"),
        (POST + b"Content-Length: -1\r\n\r\n", 400, "bad_header"),
        (POST + b"Content-Length: \xb2\r\n\r\n", 400, "bad_header"),
        (POST + b"Transfer-Encoding: identity, gzip\r\n\r\n", 400, "bad_header"),
        (POST + b"Transfer-Encoding: martian\r\n\r\n", 501, "unsupported_transfer_coding"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_chunk"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400, "bad_chunk"),
        (POST + b"Expect: a miracle\r\n\r\n", 417, "expectation_failed"),
    ],
)
def test_malformed_http_is_a_problem(port, data, status, code):
    answered, said = problem(port, data)
    assert (answered, said["code"], said["status"]) == (status, code, status)
