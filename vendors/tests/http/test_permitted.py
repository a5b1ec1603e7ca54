"""The permit is confirmed after connecting, before the vendor can see any of the request."""

import threading
from collections.abc import Callable

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from harness.waiting import wait_for
from vendors.http.call import Reply, post_json
from vendors.http.deadline import this_call


class Refused(BaseException):
    pass


def post(server: Server, timeout_seconds: float = 5) -> Reply:
    return post_json(server.url, {"name": "John Doe"}, headers={}, timeout_seconds=timeout_seconds)


def test_the_permit_is_confirmed_once_after_connecting_and_before_sending(
    serve: Callable[..., Server],
) -> None:
    server, seen = serve(answering(reply())), []

    def confirm() -> None:
        wait_for(lambda: server.visits == 1, "the connection")
        seen.append(len(server.requests))

    with this_call.permitted_by(confirm):
        post(server)
        post(server)
    post(server)
    assert seen == [0]
    assert len(server.requests) == 3


def test_a_call_without_a_permit_is_not_sent(serve: Callable[..., Server]) -> None:
    server = serve(answering(reply()))

    def refuse() -> None:
        raise Refused

    with pytest.raises(Refused), this_call.permitted_by(refuse):
        post(server)
    assert server.requests == []
    assert post(server).json_object() == {"name": "John Doe"}
    assert len(server.requests) == 1


def test_a_connection_closed_while_waiting_for_the_permit_is_replaced(
    serve: Callable[..., Server],
) -> None:
    ends = threading.Event()

    def answer_once(visit: Visit) -> None:
        visit.read_request()
        visit.send(reply())
        ends.wait(5)

    server = serve(answer_once)
    post(server)

    def confirm() -> None:
        ends.set()
        wait_for(
            lambda: server.ended == 1 or server.visits == 2, "the vendor to end its connection"
        )

    with this_call.permitted_by(confirm):
        assert post(server).json_object() == {"name": "John Doe"}
    assert server.visits == 2


def test_waiting_for_the_permit_extends_the_deadline(
    serve: Callable[..., Server],
) -> None:
    def answer_late(visit: Visit) -> None:
        visit.read_request()
        visit.server.stopped.wait(0.3)
        visit.send(reply())

    server = serve(answer_late)
    with this_call.permitted_by(lambda: threading.Event().wait(1) and None):
        assert post(server, timeout_seconds=0.9).status == 200
