"""One total deadline covers connecting, sending, a slow head and a slow body."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from vendors.base import Reply, VendorError
from vendors.http.call import post_json

DEADLINE_SECONDS = 0.25
SLACK_SECONDS = 2


def post(url: str, **options: object) -> Reply:
    return post_json(
        url, {"name": "John Doe"}, headers={}, **{"timeout_seconds": DEADLINE_SECONDS, **options}
    )


@contextmanager
def ends_in_time(code: str) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(VendorError) as caught:
        yield
    assert caught.value.code == code
    assert caught.value.outage
    assert caught.value.outcome_known is (code == "vendor_unreachable")
    assert DEADLINE_SECONDS <= time.monotonic() - began < DEADLINE_SECONDS + SLACK_SECONDS


def drip_everything(visit: Visit) -> None:
    visit.read_request()
    visit.drip(reply())


def drip_header(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    visit.drip(b"x" * 1000)


def drip_body(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    visit.drip(b"x" * 1000)


def drip_chunks(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100):
        visit.drip(b"1\r\nx\r\n")


def drip_trailers(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    visit.drip(b"X-Slow: x\r\n" * 100)


def drip_nothing_but_continue(visit: Visit) -> None:
    visit.read_request()
    for _ in range(100):
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        visit.server.stopped.wait(0.05)


def never_answer(visit: Visit) -> None:
    visit.read_request()
    visit.hang()


TALKS = [
    drip_everything,
    drip_header,
    drip_body,
    drip_chunks,
    drip_trailers,
    drip_nothing_but_continue,
    never_answer,
]


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.__name__)
def test_a_slow_answer_ends_at_the_deadline(talk: object, serve: Callable[..., Server]) -> None:
    with ends_in_time("timeout"):
        post(serve(talk).url)


def test_a_vendor_that_reads_nothing_ends_at_the_deadline(serve: Callable[..., Server]) -> None:
    server = serve(Visit.hang)
    with ends_in_time("timeout"):
        post_json(
            server.url, {"name": "x" * 10_000_000}, headers={}, timeout_seconds=DEADLINE_SECONDS
        )


def test_a_vendor_that_reads_slowly_ends_at_the_deadline(
    serve: Callable[..., Server],
) -> None:
    def sip(visit: Visit) -> None:
        while visit.connection.recv(100_000):
            visit.server.stopped.wait(0.05)

    server = serve(sip)
    with ends_in_time("timeout"):
        post_json(
            server.url, {"name": "x" * 10_000_000}, headers={}, timeout_seconds=DEADLINE_SECONDS
        )


def test_an_answer_before_the_deadline_is_read(serve: Callable[..., Server]) -> None:
    def talk(visit: Visit) -> None:
        visit.read_request()
        visit.drip(reply(body=b"{}"), gap_seconds=0.002)

    assert post(serve(talk).url, timeout_seconds=2).body == b"{}"


def test_the_next_call_of_a_thread_has_its_own_deadline(serve: Callable[..., Server]) -> None:
    slow, quick = serve(never_answer), serve(answering(reply()))
    for _ in range(2):
        with ends_in_time("timeout"):
            post(slow.url)
        assert post(quick.url).status == 200


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port that neither accepts nor refuses connections: its backlog is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_vendor_that_accepts_no_connection_is_unreachable_at_the_deadline(full_port: int) -> None:
    with ends_in_time("vendor_unreachable"):
        post(f"http://127.0.0.1:{full_port}/")


def test_the_addresses_of_a_name_share_one_deadline(
    full_port: int, resolve_to: Callable[..., None]
) -> None:
    resolve_to(full_port, full_port, full_port)
    with ends_in_time("vendor_unreachable"):
        post("http://vendor.test/")


def test_a_dead_address_leaves_time_for_the_next(
    full_port: int, serve: Callable[..., Server], resolve_to: Callable[..., None]
) -> None:
    resolve_to(full_port, serve(answering(reply())).port)
    assert post("http://vendor.test/", timeout_seconds=2).status == 200
