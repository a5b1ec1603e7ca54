"""Under overload, requests that have waited for a second are refused."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from time import monotonic
from types import SimpleNamespace

import pytest

from enrichlabs.http.overload import MAX_WAIT_SECONDS, waited_seconds
from harness.waiting import wait_for

POST = (
    b"POST /jobs HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
)
NOWHERE = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
ENDLESS = (
    b"POST /mock-vendors/sync?body=endless HTTP/1.1\r\nHost: localhost\r\n"
    b'Content-Length: 13\r\n\r\n{"name": "J"}'
)
PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def port(serve: Callable[..., int]) -> int:
    return serve(SERVES="api,mock", GUNICORN_CMD_ARGS="--threads=1")


@pytest.fixture
def send(port: int) -> Iterator[Callable[..., socket.socket]]:
    """Send bytes, over a new connection unless one is given; return the connection."""
    with ExitStack() as until_the_end:

        def send(data: bytes, over: socket.socket | None = None) -> socket.socket:
            connection = over or until_the_end.enter_context(
                socket.create_connection(("127.0.0.1", port), timeout=20)
            )
            connection.sendall(data)
            return connection

        yield send


@pytest.fixture
def held(send: Callable[..., socket.socket]) -> socket.socket:
    """A request that occupies the only thread until it is closed: its response is endless and is
    not read.
    """
    connection = send(ENDLESS)
    wait_for(lambda: connection.recv(1, socket.MSG_PEEK), "the response to begin")
    return connection


def answer(connection: socket.socket) -> tuple[HTTPResponse, bytes]:
    response = HTTPResponse(connection)
    response.begin()
    return response, response.read()


def have_waited(connections: list[socket.socket], seconds: float) -> bool:
    """Whether each connection sent its last byte that long ago."""
    info = [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 48) for each in connections]
    # tcpi_last_data_sent, in milliseconds
    return all(int.from_bytes(each[44:48], "little") > seconds * 1000 for each in info)


def test_requests_that_waited_for_a_second_are_refused_and_their_connections_kept(send, held):
    waiting = [send(request) for request in (NOWHERE, POST + b"{}")]
    wait_for(lambda: have_waited(waiting, MAX_WAIT_SECONDS + 0.1), "a second to pass")
    held.close()
    for connection in waiting:
        refused, body = answer(connection)
        assert (refused.status, json.loads(body)["code"]) == (503, "overloaded")
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.headers["Retry-After"] == "2"
    statuses = [answer(send(NOWHERE, over=connection))[0].status for connection in waiting]
    assert statuses == [404, 404]


def test_a_probe_is_answered_however_long_it_waited(send, held):
    probe = send(PROBE)
    wait_for(lambda: have_waited([probe], MAX_WAIT_SECONDS + 0.1), "a second to pass")
    held.close()
    assert answer(probe)[0].status == 200


def test_a_request_that_waited_for_less_is_answered(send, held):
    waiting = send(NOWHERE)
    held.close()
    assert answer(waiting)[0].status == 404


def test_waited_seconds_is_zero_without_a_socket():
    assert waited_seconds({}, serving_since=0.0) == 0.0


def test_the_time_before_the_process_serves_does_not_count() -> None:
    """Requests that came while it started are no overload."""
    arrived = SimpleNamespace(getsockopt=lambda *_: bytes(52) + (5000).to_bytes(4, "little"))
    environ = {"gunicorn.socket": arrived}
    assert waited_seconds(environ, serving_since=monotonic() - 60) == 5.0
    assert waited_seconds(environ, serving_since=monotonic()) < MAX_WAIT_SECONDS
