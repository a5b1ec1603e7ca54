"""The address of a client: that of the connection, unless a named proxy says another."""

from ipaddress import ip_network

import pytest

from harness.clients import bearer, make_key
from jobs.api.access.addresses import client_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("::1/128")]


def address_of(peer: str, forwarded: str | None = None) -> str:
    environ = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(environ)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2,10.0.0.3", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("::1", "2001:DB8::1", "2001:db8::1"),
        # Not an address: unknown, rather than that of the proxy.
        ("10.0.0.1", "unknown", ""),
        ("10.0.0.1", "203.0.113.9, unknown", ""),
        ("10.0.0.1", "203.0.113.9,", ""),
        ("10.0.0.1", "203.0.113.9:4711", ""),
        ("10.0.0.1", "10.0.0.1\x00", ""),
        ("10.0.0.1", "１０.0.0.2", ""),
        ("", None, ""),
        ("", "10.0.0.1", ""),
    ],
)
def test_a_proxy_that_is_trusted_says_whom_it_was_called_by(settings, peer, forwarded, address):
    settings.TRUSTED_PROXIES = PROXIES
    assert address_of(peer, forwarded) == address


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.1", "::ffff:192.0.2.1"])
def test_without_proxies_the_connection_decides(settings, peer):
    settings.TRUSTED_PROXIES = []
    assert address_of(peer, "10.0.0.1") == peer.removeprefix("::ffff:")


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("192.0.2.7", None, 200),
        ("::ffff:192.0.2.7", None, 200),
        ("192.0.2.8", "192.0.2.7", 401),
        ("192.0.2.8", None, 401),
        ("10.0.0.1", "192.0.2.7", 200),
        ("10.0.0.1", "192.0.2.7, 192.0.2.8", 401),
        ("10.0.0.1", "::ffff:192.0.2.7", 200),
        ("10.0.0.1", "nonsense", 401),
        ("10.0.0.1", None, 401),
        ("2001:db8::5", None, 200),
        ("", None, 401),
    ],
)
@pytest.mark.django_db
def test_a_key_is_used_from_its_addresses_alone(client, settings, peer, forwarded, status):
    settings.TRUSTED_PROXIES = PROXIES
    key = make_key(addresses="192.0.2.7, 2001:db8::/32")
    headers = {**bearer(key), "X-Real-IP": "192.0.2.7", "Forwarded": "for=192.0.2.7"}
    if forwarded is not None:
        headers["X-Forwarded-For"] = forwarded
    assert client.get("/jobs", headers=headers, REMOTE_ADDR=peer).status_code == status
