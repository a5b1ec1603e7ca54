"""Uploads of batches are read as they come, by few threads, in little memory."""

import hashlib
import json
import random
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from enrichlabs.http.connection import ClientSocket, Unreader
from enrichlabs.http.request_limits import limits_of
from harness.raw import answer, ask, connect, problem
from harness.waiting import wait_for

APP = "enrichlabs.tests.http.streaming_app"
HASTY = "--worker-class=harness.gunicorn_workers.HastyWorker"
HOST = b"Host: localhost\r\n"
POST = b"POST /batches HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-ndjson\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
EXPECTING = b"Expect: 100-continue\r\n" + LENGTH
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEALTHZ = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
MB = 1024 * 1024


@pytest.fixture(scope="module")
def server(gunicorn):
    return gunicorn(APP, GUNICORN_CMD_ARGS="--threads=8")


@pytest.fixture(scope="module")
def port(server) -> int:
    return server.port


@pytest.fixture(scope="module")
def hasty(gunicorn) -> int:
    """The port of a server with short deadlines."""
    return gunicorn(APP, GUNICORN_CMD_ARGS=HASTY).port


@pytest.fixture
def opened() -> Iterator[Callable[..., socket.socket]]:
    with ExitStack() as until_the_end:
        yield lambda port, data=b"": until_the_end.enter_context(connect(port, data))


def chunk(data: bytes) -> bytes:
    return b"%x;a=b\r\n%s\r\n" % (len(data), data)


def hashed(body: bytes) -> dict[str, object]:
    return {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def has_begun(connection: socket.socket) -> bool:
    """Return whether anything of a response has arrived."""
    return bool(select.select([connection], [], [], 0)[0])


@pytest.mark.parametrize("seed", range(4))
def test_a_body_is_read_from_random_pieces_and_the_next_request_follows(port, seed):
    dice = random.Random(seed)
    body = dice.randbytes(dice.choice([0, 1, 50, 20_000]))
    parts = [body[at : at + 1 + seed * 97] for at in range(0, len(body), 1 + seed * 97)]
    requests = [
        POST + LENGTH % len(body) + body,
        HEALTHZ,
        POST + CHUNKED + b"".join(map(chunk, parts)) + b"0\r\nX-Trailer: a\r\n\r\n",
        HEALTHZ[:-2] + b"Connection: close\r\n\r\n",
    ]
    sent = b"".join(requests)
    cuts = sorted(dice.sample(range(1, len(sent)), 5))
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            connection.sendall(sent[begin:end])
        answered = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", answered) == [b"202", b"200"] * 2
    assert answered.count(json.dumps(hashed(body), separators=(",", ":")).encode()) == 2


def test_the_view_gets_what_has_arrived_and_an_unread_body_closes_the_connection(port, opened):
    for framing in (LENGTH % 10**9 + b"abc", CHUNKED + b"fffff\r\nabc"):
        connection = opened(port, POST.replace(b"/batches", b"/batches?bytes=3") + framing)
        response, said = answer(connection)
        assert json.loads(said) == hashed(b"abc")
        assert response.headers["Connection"] == "close"
        assert connection.recv(1) == b""


def test_a_client_that_expects_100_continue_gets_it_once_when_its_body_is_wanted(port, opened):
    connection = opened(port, POST + EXPECTING % 3)
    assert connection.recv(100) == CONTINUE
    connection.sendall(b"abc")
    assert json.loads(answer(connection)[1]) == hashed(b"abc")
    connection.sendall(HEALTHZ)
    assert answer(connection)[0].status == 200
    too_long = opened(port, POST + EXPECTING % (limits_of("/batches").max_bytes * 1000))
    assert answer(too_long)[0].status == 413


def test_without_a_key_nothing_of_the_body_is_read(gunicorn, opened):
    port = gunicorn(APP, ALLOW_ANONYMOUS=0).port
    for begins in (EXPECTING % 5, LENGTH % 5, LENGTH % 5 + b"ab", CHUNKED + b"5\r\n"):
        connection = opened(port, POST + begins)
        assert answer(connection)[0].status == 401
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (CHUNKED + b"zz\r\n", 400, "bad_chunk"),
        (CHUNKED + b"2\r\nabcd\r\n", 400, "bad_chunk"),
        (CHUNKED + b"1;a=\x00\r\nx\r\n", 400, "bad_chunk"),
        (CHUNKED + b"1;" + b"a" * 20_000, 400, "bad_chunk"),
        (CHUNKED + b"f" * 8000 + b"\r\nabc", 408, "request_timeout"),
        (LENGTH % (50_001 * 65_536), 413, "too_large"),
        (LENGTH % 10, 408, "request_timeout"),
        (LENGTH % 10 + b"abc", 408, "request_timeout"),
        (CHUNKED + b"5\r\nab", 408, "request_timeout"),
        (b"Content-Length: x\r\n\r\n", 400, "bad_header"),
    ],
)
def test_a_malformed_large_or_silent_body_is_refused(hasty, opened, body, status, code):
    connection = opened(hasty, POST + body)
    response, said = answer(connection)
    assert (response.status, json.loads(said)["code"]) == (status, code)
    assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "body", [LENGTH % 9, CHUNKED, CHUNKED + b"5\r\na", CHUNKED + b"5\r\nabcde"]
)
def test_a_body_that_ends_early_is_a_bad_request(port, opened, body):
    connection = opened(port, POST + body)
    connection.shutdown(socket.SHUT_WR)
    response, said = answer(connection)
    assert (response.status, json.loads(said)["code"]) == (400, "body_cut_short")


def test_a_dripping_upload_ends_when_its_time_is_up(hasty, opened):
    connection = opened(hasty, POST + CHUNKED)
    began = time.monotonic()
    with suppress(OSError):
        while not has_begun(connection):
            connection.sendall(b"1\r\nx\r\n")
            time.sleep(0.1)
    assert answer(connection)[0].status == 408
    assert time.monotonic() - began > 1.9


def test_idle_uploads_leave_threads_for_others_and_too_many_are_refused(port, opened):
    for _ in range(5):  # whose clients are gone
        connect(port, POST + LENGTH % 10).close()
    idle = [opened(port, POST + LENGTH % 10) for _ in range(40)]
    wait_for(lambda: sum(map(has_begun, idle)) == 38, "all but two to be refused", seconds=5)
    began = time.monotonic()
    assert ask(port, HEALTHZ)[0].status == 200
    assert ask(port, HEALTHZ.replace(b"/healthz", b"/jobs"))[0].status == 200
    assert time.monotonic() - began < 1
    for connection in idle:
        if has_begun(connection):
            assert answer(connection)[0].status == 503
        else:
            connection.sendall(b"x" * 10)
            assert json.loads(answer(connection)[1]) == hashed(b"x" * 10)


def test_memory_stays_flat(server, opened):
    before = memory_of(server)
    connection = opened(server.port, POST + CHUNKED)
    for part in [chunk(bytes(MB)), chunk(bytes(100)) * 10_000]:
        for _ in range(20):
            connection.sendall(part)
    connection.sendall(b"0\r\n\r\n")
    assert json.loads(answer(connection)[1])["bytes"] == 20 * (MB + 1_000_000)
    assert memory_of(server) - before < 8 * MB


def memory_of(server) -> int:
    """Return the most that gunicorn's only worker has used, in bytes."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    status = Path(f"/proc/{children.split()[0]}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak
    return int(peak[1]) * 1024


def test_a_batch_in_json_is_read_before_a_thread_gets_it(port):
    request = POST.replace(b"x-ndjson", b"json")
    body = b" " * (4 * MB)
    assert json.loads(ask(port, request + LENGTH % len(body) + body)[1]) == hashed(body)
    assert problem(port, request + LENGTH % (4 * MB + 1))[0] == 413


def test_what_arrived_before_the_parser_is_read_in_pieces():
    unreader = Unreader(ClientSocket(socket.socket()))
    unreader.add(bytes(range(256)) * 400)
    assert len(unreader.read()) == 8192  # of which the parser copies the rest for each chunk
    assert len(unreader.read(20_000)) == 20_000
    unreader.unread(b"before")
    assert unreader.take_buffered() == b"before" + (bytes(range(256)) * 400)[28_192:]


def test_a_stopping_server_ends_uploads(gunicorn, opened):
    server = gunicorn(APP)
    upload = opened(server.port, POST + EXPECTING % 100)
    assert upload.recv(100) == CONTINUE
    began = time.monotonic()
    server.process.terminate()
    response, said = answer(upload)
    assert (response.status, json.loads(said)["code"]) == (503, "overloaded")
    assert response.headers["Retry-After"] == "2"
    upload.close()
    assert server.process.wait(15) == 0
    assert time.monotonic() - began < 5
