"""Calls over TLS: the deadline and the size limit apply, and certificates are verified."""

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from vendors.base import Reply, VendorError
from vendors.http.call import post_json
from vendors.http.outbound import _read, tls_context
from vendors.http.transport import Transport
from vendors.tests.http.certificates import make_certificate, server_context

DEADLINE_SECONDS = 0.4
SLACK_SECONDS = 2


def trust_only(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust this certificate and no other."""
    monkeypatch.setattr("requests.utils.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    reload_certificates(monkeypatch)


def reload_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vendors.http.outbound._read", _read.__wrapped__)
    monkeypatch.setattr("vendors.http.transport.this_thread.transport", Transport())


@pytest.fixture
def _trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust_only(certificate, monkeypatch)


def post(server: Server, **options: object) -> Reply:
    return post_json(
        server.url,
        {"name": "John Doe"},
        headers={},
        **{"timeout_seconds": DEADLINE_SECONDS, **options},
    )


def error_of(server: Server, **options: object) -> VendorError:
    with pytest.raises(VendorError) as caught:
        post(server, **options)
    return caught.value


def error_in_time(server: Server) -> VendorError:
    began = time.monotonic()
    error = error_of(server)
    assert DEADLINE_SECONDS <= time.monotonic() - began < DEADLINE_SECONDS + SLACK_SECONDS
    return error


@pytest.mark.usefixtures("_trusted")
def test_calls_share_one_verified_connection(
    context: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    server = serve(answering(reply()), tls=context)
    for _ in range(3):
        assert post(server, timeout_seconds=5).json_object() == {"name": "John Doe"}
    assert server.visits == 1
    post(server, timeout_seconds=5, fresh_connection=True)
    assert server.visits == 2


@pytest.mark.usefixtures("_trusted")
def test_stray_bytes_read_ahead_by_tls_are_not_the_next_answer(
    context: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    # Longer than the reader's buffer, and in one TLS record with what follows.
    long = b'{"name": "%s"}' % (b"x" * 10_000)
    server = serve(
        answering(reply(body=long) + reply(body=b'{"name": "stray"}'), reply()), tls=context
    )
    assert post(server, timeout_seconds=5).body == long
    assert post(server, timeout_seconds=5).json_object() == {"name": "John Doe"}
    assert server.visits == 2


def test_a_self_signed_certificate_is_not_trusted(
    context: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    server = serve(answering(reply()), tls=context)
    error = error_of(server, timeout_seconds=5)
    assert (error.code, error.outage, error.outcome_known) == ("vendor_unreachable", True, True)
    assert error.message == (
        "The vendor could not be reached: its TLS certificate is not trusted "
        "(self-signed certificate); "
        "to trust a certificate authority of your own, name its file in the vendor's ca_file, "
        "or in VENDOR_CA_FILE for all vendors."
    )
    assert server.requests == []


def test_a_certificate_for_another_name_is_not_trusted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]
) -> None:
    other = make_certificate(folder, "other", "DNS:other.test")
    server = serve(answering(reply()), tls=server_context(other))
    trust_only(other, monkeypatch)
    message = error_of(server, timeout_seconds=5).message
    assert "IP address mismatch" in message
    assert "VENDOR_CA_FILE" not in message


def test_vendor_ca_file_is_trusted_in_addition_to_the_public_authorities(
    certificate: Path,
    context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    settings: object,
    serve: Callable[..., Server],
) -> None:
    settings.VENDOR_CA_FILE = str(certificate)
    reload_certificates(monkeypatch)
    public = len(tls_context().get_ca_certs())
    assert post(serve(answering(reply()), tls=context), timeout_seconds=5).status == 200
    assert public > 50


def test_a_handshake_with_a_vendor_without_tls_fails(serve: Callable[..., Server]) -> None:
    server = serve(lambda visit: visit.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    server.url = server.url.replace("http:", "https:")
    error = error_of(server, timeout_seconds=5)
    assert (error.code, error.message) == (
        "vendor_unreachable",
        "The vendor could not be reached: the TLS handshake failed.",
    )


@pytest.mark.parametrize(
    "talk",
    [Visit.hang, lambda visit: visit.drip(b"\x16\x03\x03\x40\x00" + b"x" * 1000)],
    ids=["hangs", "drips"],
)
def test_a_handshake_ends_at_the_deadline(talk: object, serve: Callable[..., Server]) -> None:
    server = serve(talk)
    server.url = server.url.replace("http:", "https:")
    assert error_in_time(server).code == "vendor_unreachable"


def test_a_handshake_may_use_all_the_time_left(
    serve: Callable[..., Server], resolve_to: Callable[..., None]
) -> None:
    server = serve(Visit.hang)
    server.url = "https://vendor.test/"
    resolve_to(server.port, server.port, server.port)
    assert error_in_time(server).code == "vendor_unreachable"


def drip_head(visit: Visit) -> None:
    visit.read_request()
    visit.drip(reply())


def drip_body(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    visit.drip(b"1\r\nx\r\n" * 100)


def drip_one_record(visit: Visit) -> None:
    visit.read_request()
    raw = visit.connection.detach()  # writes past TLS: a record that is never complete
    with socket.socket(fileno=raw) as plain:
        for byte in b"\x17\x03\x03\x10\x00" + b"x" * 100:
            plain.sendall(bytes([byte]))
            visit.server.stopped.wait(0.05)


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize(
    "talk", [drip_head, drip_body, drip_one_record], ids=lambda talk: talk.__name__
)
def test_a_slow_answer_ends_at_the_deadline(
    talk: object, context: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    error = error_in_time(serve(talk, tls=context))
    assert (error.code, error.outcome_known) == ("timeout", False)


@pytest.mark.usefixtures("_trusted")
def test_a_vendor_that_reads_slowly_ends_at_the_deadline(
    context: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    def sip(visit: Visit) -> None:
        while visit.connection.recv(50_000):
            visit.server.stopped.wait(0.004)

    server = serve(sip, tls=context)
    began = time.monotonic()
    with pytest.raises(VendorError, match="in full within"):
        post_json(
            server.url, {"name": "x" * 10_000_000}, headers={}, timeout_seconds=DEADLINE_SECONDS
        )
    assert time.monotonic() - began < DEADLINE_SECONDS + SLACK_SECONDS


@pytest.mark.usefixtures("_trusted")
def test_an_endless_answer_is_cut_off_at_the_size_limit(
    context: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    def endless(visit: Visit) -> None:
        visit.read_request()
        visit.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            visit.send(b"x" * 65536)

    assert error_of(serve(endless, tls=context), timeout_seconds=10).code == "bad_reply"
