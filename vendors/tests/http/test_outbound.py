"""Certificates of one vendor: an authority of its own, and a client certificate."""

import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.vendor.server import Server, answering, reply
from harness.waiting import wait_for
from vendors.base import Call, Reply, VendorError
from vendors.http import request
from vendors.http.deadline import this_call
from vendors.http.outbound import fault_of
from vendors.models import Vendor
from vendors.outbound import DIRECT, Outbound
from vendors.registry import make_adapter
from vendors.tests.http.certificates import make_certificate, server_context


def get(url: str, **files: object) -> Reply:
    outbound = Outbound(**{name: str(path) for name, path in files.items()})
    return request("GET", url, headers={}, timeout_seconds=5, outbound=outbound)


def error_of(url: str, **files: object) -> VendorError:
    with pytest.raises(VendorError) as caught:
        get(url, **files)
    error = caught.value
    assert (error.code, error.outage, error.outcome_known) == ("vendor_unreachable", True, True)
    return error


@pytest.fixture(scope="module")
def ours(folder: Path) -> Path:
    """Our client certificate with its key, in one file."""
    certificate = make_certificate(folder, "ours")
    both = folder / "ours-both.pem"
    both.write_bytes(certificate.read_bytes() + certificate.with_suffix(".key").read_bytes())
    return both


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def strict(request: pytest.FixtureRequest, certificate: Path, ours: Path) -> ssl.SSLContext:
    """The TLS of a vendor that requires our client certificate."""
    context = server_context(certificate)
    context.maximum_version = request.param
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ours)
    return context


def test_an_authority_of_one_vendor_is_trusted_for_it_alone(
    certificate: Path, context: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    server = serve(answering(reply()), tls=context)
    for _ in range(2):
        assert get(server.url, ca_file=certificate).status == 200
    assert server.visits == 1
    assert "its TLS certificate is not trusted" in error_of(server.url).message


def test_a_client_certificate_is_shown(
    certificate: Path, ours: Path, strict: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    server = serve(answering(reply()), tls=strict)
    assert get(server.url, ca_file=certificate, client_cert_file=ours).status == 200


def test_a_vendor_that_refuses_our_certificate_has_not_been_called(
    certificate: Path, strict: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    server = serve(answering(reply()), tls=strict)
    # So that the refusal is there before we write.
    with this_call.permitted_by(lambda: wait_for(lambda: server.ended == 1, "its hanging up")):
        error = error_of(server.url, ca_file=certificate)
    assert error.message == (
        "The vendor could not be reached: the TLS handshake failed; if the vendor requires a "
        "client certificate, name the file of the right one in the vendor's client_cert_file."
    )
    assert server.requests == []


def test_a_changed_file_is_read_again(
    folder: Path, certificate: Path, context: ssl.SSLContext, serve: Callable[..., Server]
) -> None:
    server = serve(answering(reply()), tls=context)
    changing = folder / "changing.pem"
    changing.write_bytes(certificate.read_bytes())
    assert get(server.url, ca_file=changing).status == 200
    other = make_certificate(folder, "unrelated")
    changing.write_bytes(other.read_bytes())
    os.utime(changing, (1, 1))
    assert "not trusted" in error_of(server.url, ca_file=changing).message
    changing.unlink()
    assert "No such file" in error_of(server.url, ca_file=changing).message
    changing.write_bytes(certificate.read_bytes())
    assert get(server.url, ca_file=changing).status == 200


def test_a_file_that_cannot_be_used_is_named_but_not_shown(
    folder: Path, certificate: Path, ours: Path
) -> None:
    locked = folder / "locked.pem"
    encrypt = f"openssl ec -aes256 -passout pass:x -in {certificate.with_suffix('.key')}"
    key = subprocess.run(encrypt.split(), check=True, capture_output=True).stdout
    locked.write_bytes(certificate.read_bytes() + key)
    nonsense = folder / "nonsense.pem"
    nonsense.write_text("s3cret")
    missing = folder / "missing.pem"
    for name in ("ca_file", "client_cert_file"):
        assert fault_of(Outbound(**{name: str(missing)})) == (
            f"The file {missing} that {name} names can't be read (No such file or directory); "
            f"put it there, readable for the service, or correct {name}."
        )
    for path in (nonsense, folder):
        fault = fault_of(Outbound(ca_file=str(path)))
        assert fault.startswith(f"The file {path} that ca_file names ")
        assert "s3cret" not in fault
    for path in (nonsense, locked, certificate):
        assert fault_of(Outbound(client_cert_file=str(path))) == (
            f"The file {path} that client_cert_file names must hold a certificate and its private "
            "key, without a password, in PEM."
        )
    assert fault_of(Outbound("http://proxy.test:3128", str(certificate), str(ours))) == ""


def vendor(**definition: object) -> Vendor:
    return Vendor(slug="acme", adapter="sync", url="https://acme.test/", definition=definition)


def test_a_definition_names_the_way_out(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vendor().outbound is DIRECT
    assert vendor().outbound_fault == ""
    monkeypatch.setenv("VENDOR_PROXY", "http://joe:pw@proxy.test\n")
    acme = vendor(proxy_env="VENDOR_PROXY", ca_file=str(certificate))
    assert acme.outbound == Outbound("http://joe:pw@proxy.test", str(certificate))
    assert acme.outbound_fault == ""


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("VENDOR_UNSET", "proxy_env: The variable VENDOR_UNSET is not set."),
        ("VENDOR_WRONG", "The URL of its egress proxy is not valid; it must be like"),
        ("SECRET_KEY", "proxy_env: SECRET_KEY is a setting of EnrichLabs."),
    ],
)
def test_a_vendor_is_never_called_without_its_proxy(
    name: str, fault: str, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR_WRONG", "joe:pw@proxy.test")
    server = serve(answering(reply()))
    acme = vendor(proxy_env=name)
    acme.url = server.url
    assert acme.outbound_fault.startswith(fault)
    with pytest.raises(VendorError) as caught:
        make_adapter(acme).call(Call("1", {}, "1", ""))
    assert caught.value.code == "vendor_unreachable"
    assert "joe" not in caught.value.message
    assert server.visits == 0
