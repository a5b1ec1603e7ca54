"""Connections are reused, unless they are broken or a fresh one is asked for. Nothing else is kept
between calls.
"""

import threading
from collections.abc import Callable

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from vendors.base import Reply, VendorError
from vendors.http.call import post_json


def post(server: Server, **options: object) -> Reply:
    return post_json(
        server.url, {"name": "John Doe"}, headers={}, **{"timeout_seconds": 2, **options}
    )


def test_calls_of_a_thread_share_a_connection(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply()))
    for _ in range(3):
        post(server)
    assert (server.visits, len(server.requests)) == (1, 3)


def test_a_fresh_connection_is_opened_when_asked_for(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply()))
    post(server)
    post(server, fresh_connection=True)
    assert server.visits == 2
    post(server)  # other calls may reuse it
    assert server.visits == 2


def test_threads_do_not_share_connections(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply()))
    post(server)
    other = threading.Thread(target=post, args=(server,))
    other.start()
    other.join()
    assert server.visits == 2


@pytest.mark.parametrize(
    "status", ["204 No Content", "404 Not Found", "429 Too Many Requests", "302 Found", "500 Oops"]
)
def test_a_connection_is_reused_after_an_answer_without_a_result(
    status: str, serve: Callable[..., Server]
) -> None:
    body = b"" if status.startswith("204") else b"x" * 100_000
    server = serve(answering(reply(status, body=body), reply()))
    try:
        post(server)
    except VendorError:
        assert not status.startswith("204")
    assert post(server).body == b'{"name": "John Doe"}'
    assert server.visits == 1


def test_a_connection_is_reused_after_a_chunked_answer(
    serve: Callable[..., Server],
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b'6\r\n{"a": \r\n2\r\n1}\r\n0\r\nX-Trailer: x\r\n\r\n'
    server = serve(answering(head + chunks, reply()))
    assert post(server).json_object() == {"a": 1}
    assert post(server).json_object() == {"name": "John Doe"}
    assert server.visits == 1


def test_a_connection_is_not_reused_after_a_timeout(
    serve: Callable[..., Server],
) -> None:
    def talk(visit: Visit) -> None:
        visit.read_request()
        if visit.server.visits == 1:
            visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + b"x" * 10)
            visit.hang()
        visit.send(reply(body=b'{"name": "second"}'))

    server = serve(talk)
    with pytest.raises(VendorError, match=r"within 0\.3 s"):
        post(server, timeout_seconds=0.3)
    assert post(server).json_object() == {"name": "second"}
    assert server.visits == 2


def test_a_connection_with_an_unread_answer_is_not_reused(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply(body=b"x" * 2_000_000), reply()))
    with pytest.raises(VendorError, match="longer than"):
        post(server)
    assert post(server).json_object() == {"name": "John Doe"}
    assert server.visits == 2


def test_bytes_after_an_answer_are_not_the_next_answer(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply() + reply(body=b'{"name": "smuggled"}'), reply()))
    assert [post(server).json_object()["name"] for _ in range(2)] == ["John Doe", "John Doe"]


def test_a_connection_closed_by_the_vendor_is_replaced(
    serve: Callable[..., Server],
) -> None:
    def once(visit: Visit) -> None:
        visit.read_request()
        visit.send(reply())
        visit.connection.close()
        closed.set()

    closed = threading.Event()
    server = serve(once)
    for _ in range(3):
        assert post(server).status == 200
        assert closed.wait(5)
        closed.clear()
    assert server.visits == 3


def test_cookies_are_not_sent_back(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply(Set_Cookie="session=of-the-first-job; Path=/")))
    for _ in range(2):
        post(server)
    assert b"cookie" not in server.requests[1].lower()


def test_proxies_and_netrc_are_ignored(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    server = serve(answering(reply()))
    post(server)
    assert b"authorization" not in server.requests[0].lower()
