"""Silent, slow or greedy clients occupy no thread: others are answered meanwhile, and they are
disconnected.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from harness.raw import answer, ask, connect, problem
from harness.waiting import wait_for

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = (
    b"POST /%s HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 200\r\n\r\n"
)
EXPECTING = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
CHUNKED = POST.replace(b"Content-Length: 200", b"Transfer-Encoding: chunked")
CALLBACK = b"vendor-webhook/acme/01a2036a-3737-730f-8b75-355ab24a179b?token=x"
# How a request begins, the byte sent twice a second, and the response status; 0 is none.
SLOW = {
    "silent": (b"", b"", 0),
    "half a head": (GET, b"", 408),
    "a dripping head": (GET, b"x", 408),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50), b"", 400),
    "half a body": (POST % b"jobs" + b"{", b"", 408),
    "a dripping body": (POST % CALLBACK + b"{", b" ", 408),
    "dripping chunks": (CHUNKED % b"jobs" + b"fff\r\n", b" ", 408),
    "a silent client that expects 100": (EXPECTING % b"jobs", b"", 408),
}
CLIENTS_OF_EACH_KIND = 20

HASTY = "--worker-class=harness.gunicorn_workers.HastyWorker"
SLOW_POST = (
    b"POST /mock-vendors/sync?%s HTTP/1.1\r\nHost: localhost\r\n"
    b'Content-Length: 13\r\n\r\n{"name": "J"}'
)


@pytest.fixture(scope="module")
def port(serve: Callable[..., int]) -> int:
    return serve(GUNICORN_CMD_ARGS="--threads=4")


@pytest.fixture
def opened() -> Iterator[Callable[..., socket.socket]]:
    with ExitStack() as until_the_end:
        yield lambda port, data=b"": until_the_end.enter_context(connect(port, data))


def test_other_clients_are_answered_while_slow_ones_are_disconnected(port, opened):
    slow = {
        opened(port, begins): (more, status)
        for begins, more, status in SLOW.values()
        for _ in range(CLIENTS_OF_EACH_KIND)
    }
    for request, status in (
        (GET + b"\r\n", 200),
        (b"DELETE /jobs" + GET[12:] + b"\r\n", 405),
        (b"GET /" + CALLBACK + GET[12:] + b"\r\n", 405),
    ):
        began = time.monotonic()
        assert ask(port, request)[0].status == status
        assert time.monotonic() - began < 3
    ends: dict[socket.socket, bytes] = {}
    wait_for(
        lambda: len(follow(slow, ends)) == len(slow), "all slow clients to be ended", seconds=40
    )
    for connection, (_, status) in slow.items():
        heads = ends[connection].removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert heads.startswith(b"HTTP/1.1 %d " % status) if status else heads == b"", heads


def follow(slow, ends):
    """Send each client's next byte, and record the responses of those that were disconnected."""
    now = time.monotonic()
    drips = now - getattr(follow, "dripped", 0) > 0.5
    follow.dripped = now if drips else getattr(follow, "dripped", 0)
    for connection in slow.keys() - ends.keys():
        connection.setblocking(False)
        with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            if drips:
                connection.sendall(slow[connection][0])
        with suppress(BlockingIOError):
            if connection.recv(1, socket.MSG_PEEK) == b"":
                ends[connection] = b""
                continue
            whole = connection.recv(65536, socket.MSG_PEEK)
            if b"}" in whole:
                ends[connection] = whole
    return ends


def test_an_idle_kept_alive_connection_occupies_no_thread(port, opened):
    kept = [opened(port, GET + b"\r\n") for _ in range(20)]
    assert [answer(connection)[0].status for connection in kept] == [200] * 20
    assert ask(port, GET + b"\r\n")[0].status == 200
    kept[0].sendall(GET + b"\r\n")
    assert answer(kept[0])[0].status == 200


def test_a_client_that_does_not_read_its_response_is_disconnected(serve, opened):
    port = serve(SERVES="mock", GUNICORN_CMD_ARGS=f"--threads=1 {HASTY}")
    deaf = opened(port, SLOW_POST % b"body=endless")
    wait_for(lambda: deaf.recv(1, socket.MSG_PEEK), "the response to begin")
    assert ask(port, GET + b"\r\n")[0].status == 200  # which needs the only thread


def test_the_memory_of_incomplete_requests_is_limited(serve, opened):
    port = serve(GUNICORN_CMD_ARGS=HASTY)
    head = (POST % b"vendor-webhook/a/b").replace(b"200", b"200000")
    waiting = [opened(port, head + bytes(100_000)) for _ in range(2)]
    status, said = problem(port, head + bytes(180_000))
    assert (status, said["code"]) == (503, "overloaded")
    for connection in waiting:
        connection.sendall(bytes(100_000))
        assert answer(connection)[0].status == 404


def test_a_small_request_is_answered_while_large_ones_fill_the_memory(serve, opened):
    port = serve(GUNICORN_CMD_ARGS=HASTY)
    head = (POST % b"vendor-webhook/a/b").replace(b"200", b"200000")
    for _ in range(4):
        opened(port, head + bytes(110_000))
        assert ask(port, GET + b"\r\n")[0].status == 200


@pytest.mark.parametrize("begins", [b"", GET, GET + b"\r\n"])
def test_the_oldest_connection_without_a_request_is_closed_to_make_room(serve, opened, begins):
    port = serve(GUNICORN_CMD_ARGS="--threads=1 --worker-connections=8")
    waiting = [opened(port, begins) for _ in range(30)]
    assert ask(port, GET + b"\r\n")[0].status == 200
    waiting[0].settimeout(5)  # before any deadline passes
    with suppress(ConnectionResetError):
        while waiting[0].recv(4096):
            pass


def test_connections_make_room_when_they_become_idle_later(serve, opened):
    port = serve(SERVES="mock", GUNICORN_CMD_ARGS="--threads=1 --worker-connections=8")
    slow = SLOW_POST % b"latency=1"
    kept = [opened(port, slow if n == 0 else GET + b"\r\n") for n in range(30)]
    began = time.monotonic()
    assert ask(port, GET + b"\r\n")[0].status == 200
    assert time.monotonic() - began < 8  # gunicorn keeps an idle connection for 10 s
    assert answer(kept[0])[0].status == 200


def test_a_stopping_server_answers_requests_in_progress_and_closes_other_connections(
    gunicorn, opened
):
    server = gunicorn()
    silent, under_way = opened(server.port), opened(server.port, POST % b"jobs" + b"{")
    wait_for(lambda: ask(server.port, GET + b"\r\n")[0].status == 200, "all to be accepted")
    server.process.terminate()
    assert silent.recv(1) == b""
    under_way.sendall(b" " * 199)
    assert answer(under_way)[0].status == 400
    assert server.process.wait(15) == 0
