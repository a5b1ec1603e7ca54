"""Whether a vendor may be called depends on the address of the connection, not on its name."""

import socket
from collections.abc import Callable
from ipaddress import ip_network
from types import SimpleNamespace

import pytest

from harness.vendor.server import Server, answering, reply
from vendors.base import VendorError
from vendors.http import addresses
from vendors.http.addresses import RefusedAddressError
from vendors.http.call import post_json

PUBLIC = "https://gateway.example"


def post(url: str) -> int:
    return post_json(url, {}, headers={}, timeout_seconds=5).status


def error_of(url: str) -> VendorError:
    with pytest.raises(VendorError) as caught:
        post(url)
    return caught.value


def resolving(*found: str) -> Callable[..., list[object]]:
    """Return a getaddrinfo that resolves every name to these addresses."""
    return lambda host, port, **kwargs: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found
    ]


def test_a_name_that_resolves_to_a_metadata_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving("169.254.169.254"))
    error = error_of("http://metadata.example/")
    assert (error.code, error.outcome_known) == ("vendor_unreachable", True)
    assert "169.254.169.254 is a link-local, metadata or reserved address." in error.message
    assert "To allow it, add it to VENDOR_ALLOWED_ADDRESSES." in error.message


def test_another_address_of_the_same_name_is_tried(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]
) -> None:
    port = serve(answering(reply())).port
    monkeypatch.setattr(socket, "getaddrinfo", resolving("169.254.169.254", "127.0.0.1"))
    assert post(f"http://both.example:{port}/") == 200


def test_a_public_service_does_not_call_its_own_machine(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server], settings: object
) -> None:
    server = serve(answering(reply()))
    url = f"http://rebound.example:{server.port}/"
    monkeypatch.setattr(socket, "getaddrinfo", resolving("127.0.0.1"))
    settings.PUBLIC_URL = PUBLIC
    assert "127.0.0.1 is this machine itself" in error_of(url).message
    assert server.visits == 0
    settings.MOCK_PORT = server.port
    assert post(url) == 200
    settings.MOCK_PORT, settings.VENDOR_ALLOWED_ADDRESSES = 1, [ip_network("127.0.0.0/8")]
    assert post(f"http://again.example:{server.port}/") == 200


def test_the_own_machine_is_recognised_by_any_of_its_addresses(settings: object) -> None:
    def connected(own: str, peer: str) -> object:
        return SimpleNamespace(getsockname=lambda: (own, 50000), getpeername=lambda: (peer, 80))

    addresses.check_peer(connected("10.0.0.5", "10.0.0.5"))
    settings.PUBLIC_URL = PUBLIC
    addresses.check_peer(connected("10.0.0.5", "10.0.0.7"))
    with pytest.raises(RefusedAddressError, match=r"10\.0\.0\.5 is this machine itself"):
        addresses.check_peer(connected("10.0.0.5", "10.0.0.5"))


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "::ffff:0:a9fe:a9fe",
        "::ffff:a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_an_embedded_ipv4_address_is_checked(address: str) -> None:
    assert "link-local, metadata" in addresses.refusal(address, 80)
