"""A gunicorn that is asked for more than it can do refuses what has waited for a second, and goes
on.
"""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPResponse

import pytest

from enrichlabs.http.overload import MAX_WAIT_SECONDS, waited_seconds
from harness.waiting import wait_for

POST = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
NOWHERE = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
ENDLESS = (
    b"POST /mock-vendors/sync?body=endless HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n\r\n"
    + b'{"name": "J"}'
)
PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def port(serve: Callable[..., int]) -> int:
    return serve(SERVES="api,mock", GUNICORN_CMD_ARGS="--threads=1")


@pytest.fixture
def send(port: int) -> Iterator[Callable[..., socket.socket]]:
    """Return a function that sends bytes, over a connection of its own unless one is named, and
    returns the connection.
    """
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
    """A request that has the only thread, until its connection is closed: its answer has no end,
    and is not read.
    """
    connection = send(ENDLESS)
    wait_for(lambda: connection.recv(1, socket.MSG_PEEK), "the answer to begin")
    return connection


def answer(connection: socket.socket) -> tuple[HTTPResponse, bytes]:
    response = HTTPResponse(connection)
    response.begin()
    return response, response.read()


def have_waited(connections: list[socket.socket], seconds: float) -> bool:
    """Whether that long ago the last byte went out: not even the acknowledgement of the kernel
    counts as an answer.
    """
    info = [
        connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 48) for connection in connections
    ]
    return all(
        int.from_bytes(each[44:48], "little") > seconds * 1000 for each in info
    )  # tcpi_last_data_sent


def test_what_has_waited_for_a_second_is_refused_and_its_connection_kept(send, held):
    waiting = [send(request) for request in (NOWHERE, POST + b"{}")]
    wait_for(lambda: have_waited(waiting, MAX_WAIT_SECONDS + 0.1), "a second to pass")
    held.close()
    for connection in waiting:
        refused, body = answer(connection)
        assert (refused.status, json.loads(body)["code"]) == (503, "overloaded")
        assert (refused.headers["Content-Type"], refused.headers["Retry-After"]) == (
            "application/problem+json",
            "2",
        )
    assert [answer(send(NOWHERE, over=connection))[0].status for connection in waiting] == [
        404,
        404,
    ]


def test_a_probe_is_answered_however_long_it_has_waited(send, held):
    probe = send(PROBE)
    wait_for(lambda: have_waited([probe], MAX_WAIT_SECONDS + 0.1), "a second to pass")
    held.close()
    assert answer(probe)[0].status == 200


def test_what_has_waited_for_less_is_done(send, held):
    waiting = send(NOWHERE)
    held.close()
    assert answer(waiting)[0].status == 404


def test_without_a_socket_nothing_has_waited():
    assert waited_seconds({}) == 0.0
