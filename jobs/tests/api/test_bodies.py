"""Request bodies are read completely or not at all, up to their limit."""

import socket
from io import BytesIO

import pytest
from django.http.request import UnreadablePostError
from django.test import RequestFactory

from jobs.api.input import bodies


def request_of(body, length: int | str):
    return RequestFactory().generic(
        "POST", "/jobs", **{"wsgi.input": body, "CONTENT_LENGTH": str(length)}
    )


class Endless(BytesIO):
    """An endless body that counts how much of it is read."""

    taken = 0

    def read(self, size=-1, /):
        assert size >= 0
        self.taken += size
        return b"x" * size


class Broken(BytesIO):
    def read(self, size=-1, /):
        raise OSError("connection reset")


@pytest.mark.parametrize("length", [0, 1, 9, 10])
def test_read_returns_the_whole_body_within_the_limit(length):
    assert bodies.read(request_of(BytesIO(b"x" * length), length), 10) == b"x" * length


def test_read_refuses_a_length_over_the_limit_without_reading():
    endless = Endless()
    with pytest.raises(bodies.TooLarge):
        bodies.read(request_of(endless, 11), 10)
    assert endless.taken == 0


@pytest.mark.parametrize("length", ["", "x", "-1", "²", "+1", "1_0"])
def test_an_invalid_content_length_counts_as_no_body(length):
    assert bodies.read(request_of(Endless(), length), 10) == b""


@pytest.mark.parametrize("header", ["Content-Encoding", "Transfer-Encoding"])
@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "identity, br", "x"])
def test_an_encoded_body_is_refused(header, coding):
    request = request_of(Endless(), 5)
    request.META[f"HTTP_{header.upper().replace('-', '_')}"] = coding
    with pytest.raises(bodies.Encoded) as refused:
        bodies.read(request, 10)
    answer = refused.value.response()
    assert (answer.status_code, answer["Accept-Encoding"]) == (415, "identity")


@pytest.mark.parametrize(
    ("header", "coding"), [("CONTENT_ENCODING", "Identity"), ("TRANSFER_ENCODING", "Chunked")]
)
def test_the_codings_of_a_plain_body_are_accepted(header, coding):
    request = request_of(BytesIO(b"x"), 1)
    request.META[f"HTTP_{header}"] = coding
    assert bodies.read(request, 10) == b"x"


@pytest.mark.parametrize("body", [BytesIO(b"x" * 9), BytesIO(), Broken()])
def test_a_body_shorter_than_its_length_is_refused(body):
    with pytest.raises(bodies.CutShort):
        bodies.read(request_of(body, 10), 10)


def test_body_problems_are_client_errors():
    assert bodies.TooLarge(10).response().status_code == 413
    assert bodies.CutShort().response().status_code == 400
    assert issubclass(UnreadablePostError, OSError)


@pytest.mark.django_db(transaction=True)
def test_a_client_that_disconnects_mid_body_gets_400(live_server):
    with socket.create_connection((live_server.thread.host, live_server.thread.port)) as client:
        client.sendall(b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        client.sendall(b'Content-Length: 99\r\n\r\n{"vendor"')
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()
    assert b" 400 " in answer.splitlines()[0]
    assert b"body_cut_short" in answer
