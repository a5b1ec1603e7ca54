"""Chunked bodies, sent to a real gunicorn."""

import gzip
import json
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.client import HTTPResponse

import pytest

HEAD = (
    "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
)
MOCK, API = "/mock-vendors/sync", "/jobs"


@pytest.fixture(scope="module")
def port(serve: Callable[..., int]) -> int:
    return serve(SERVES="api,mock")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def post(port: int, path: str, parts: Iterable[bytes], head: str = HEAD) -> tuple[int, bytes]:
    """Send the parts until the server closes the connection; return status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head.format(path=path).encode())
        with suppress(OSError):  # the server has answered and closed
            for part in parts:
                connection.sendall(part)
        response = HTTPResponse(connection)
        response.begin()
        return response.status, response.read()


def test_a_chunked_body_is_read(port: int) -> None:
    body = json.dumps({"name": "John Doe"}).encode()
    status, answer = post(port, MOCK, [chunk(body[:7]), chunk(body[7:]), chunk(b"")])
    assert status == 200
    assert json.loads(answer)["name"] == "John Doe"


def test_an_endless_body_is_refused(port: int) -> None:
    endless = (chunk(b" " * 65536) for _ in range(32))  # 2 MiB, and no last chunk
    assert post(port, API, endless)[0] == 413


def test_a_malformed_chunk_is_a_bad_request(port: int) -> None:
    assert post(port, API, [b"no length\r\n{}\r\n"])[0] == 400


@pytest.mark.parametrize("header", ["Content-Encoding: gzip", "Transfer-Encoding: gzip"])
def test_a_compressed_body_is_refused(port: int, header: str) -> None:
    head = HEAD.replace("Transfer-Encoding: chunked", f"{header}\r\nTransfer-Encoding: chunked")
    status, answer = post(port, API, [chunk(gzip.compress(b"{}")), chunk(b"")], head)
    assert (status, json.loads(answer)["code"]) == (415, "unsupported_encoding")


def test_an_empty_chunked_body_is_a_bad_request(port: int) -> None:
    assert post(port, API, [chunk(b"")])[0] == 400
