"""Results are streamed, to clients that read them."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import IncompleteRead

import pytest

from enrichlabs.tests.http.test_uploads import APP, HASTY, HOST
from harness.raw import answer, ask, connect
from harness.waiting import wait_for

PATH = b"/batches/x/results?parts=%d"
GET = b"GET " + PATH + b" HTTP/1.1\r\n" + HOST + b"\r\n"
ENDLESS = GET % 10**9
BEGUN, CLOSED = "The results were begun", "The results were closed"


@pytest.fixture(scope="module")
def server(gunicorn):
    return gunicorn(APP)


@pytest.fixture(scope="module")
def hasty(gunicorn):
    """A server with short deadlines."""
    return gunicorn(APP, GUNICORN_CMD_ARGS=HASTY)


@pytest.fixture
def opened() -> Iterator[Callable[..., socket.socket]]:
    with ExitStack() as until_the_end:
        yield lambda port, data=b"": until_the_end.enter_context(connect(port, data))


def test_a_response_is_sent_in_chunks_and_the_connection_kept(server, opened):
    connection = opened(server.port, GET % 3)
    response, body = answer(connection)
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in response.headers
    assert body == b"x" * 3 * 64 * 1024
    connection.sendall(GET % 0)
    assert answer(connection)[1] == b""


def test_a_file_that_is_cut_short_has_no_last_chunk(server, opened):
    connection = opened(server.port, (GET % 2).replace(b" HTTP", b"&fails=1 HTTP"))
    with pytest.raises(IncompleteRead) as error:
        answer(connection)
    assert error.value.partial.strip(b"x") == b""
    assert "Traceback" not in server.log


def test_http_1_0_gets_it_until_the_connection_closes(server):
    response, body = ask(server.port, (GET % 3).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert "Transfer-Encoding" not in response.headers
    assert len(body) == 3 * 64 * 1024


def test_head_runs_no_generator(server, opened):
    begun = server.log.count(BEGUN)
    connection = opened(server.port, ENDLESS.replace(b"GET", b"HEAD"))
    assert answer(connection, "HEAD")[0].headers["Content-Type"] == "application/x-ndjson"
    connection.sendall(GET % 0)
    assert answer(connection)[1] == b""
    assert server.log.count(BEGUN) == begun + 1


def test_the_generator_is_closed_when_the_client_disconnects(server):
    closed = server.log.count(CLOSED)
    with connect(server.port, ENDLESS) as connection:
        connection.recv(1)
        assert server.log.count(CLOSED) == closed
    wait_for(lambda: server.log.count(CLOSED) > closed, "the generator to be closed")
    assert "Traceback" not in server.log


@pytest.mark.parametrize(("bytes_a_time", "lasts"), [(0, 0.5), (256 * 1024, 3.0)])
def test_a_client_that_reads_nothing_or_too_slowly_is_cut_off(hasty, opened, bytes_a_time, lasts):
    closed = hasty.log.count(CLOSED)
    connection = opened(hasty.port, ENDLESS)
    began = time.monotonic()

    def is_cut_off() -> bool:
        connection.recv(bytes_a_time or 1, 0 if bytes_a_time else socket.MSG_PEEK)
        return hasty.log.count(CLOSED) > closed

    wait_for(is_cut_off, "the response to end", seconds=10)
    assert lasts - 0.1 < time.monotonic() - began < lasts + 2
