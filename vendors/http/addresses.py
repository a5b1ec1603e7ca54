"""Which addresses a vendor may have.

Whoever may change a vendor's URL could else have this machine call what only this machine can
reach: the metadata service of a cloud, which gives out credentials, or a service that trusts all
that comes from the machine itself. So the address that a connection is made to is asked about,
whatever name it goes by.
"""

import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings

REMEDY = "VENDOR_ALLOWED_ADDRESSES can allow it."
# Link-local, the metadata services of clouds that are not, this host, multicast and what is
# reserved.
NEVER = [
    ip_network(network)
    for network in (
        *(
            "169.254.0.0/16",
            "fe80::/10",
            "fd00:ec2::254/128",
            "fd20:ce::254/128",
            "100.100.100.200/32",
            "192.0.0.192/32",
        ),
        *("0.0.0.0/8", "::/128", "224.0.0.0/4", "240.0.0.0/4", "ff00::/8"),
    )
]
# IPv4 in the last 32 bits: behind NAT64, a local NAT64 and SIIT.
TRANSLATED = [
    ip_network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")
]


class RefusedAddressError(OSError):
    """No vendor may have this address."""


def check(address: str, port: int) -> None:
    """Raises RefusedAddressError, with a sentence, where vendors may not be called at this address."""
    if sentence := refusal(address, port):
        raise RefusedAddressError(sentence)


def check_peer(sock: socket.socket) -> None:
    """Raises RefusedAddressError where the connection leads to this machine itself, and vendors may
    not be there.
    """
    own, peer = sock.getsockname(), sock.getpeername()
    if own[0] == peer[0] and not (
        _is_at_home() or _is_allowed(_parsed(peer[0])) or _is_mock(_parsed(peer[0]), peer[1])
    ):
        raise RefusedAddressError(f"{peer[0]} is this machine itself. {REMEDY}")


def refusal_of_host(host: str, port: int) -> str:
    """Return why a host, as a URL names it, can't be a vendor; empty where it is a name that has to
    be resolved first.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return refusal("127.0.0.1", port)
    try:
        # 2852039166 and 0xa9.254.43518 are addresses, too.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ""
    return next(filter(None, (refusal(str(sockaddr[0]), port) for *_, sockaddr in found)), "")


def refusal(address: str, port: int) -> str:
    """Return why a vendor may not have this address; empty where it may."""
    parsed = _parsed(address)
    if _is_allowed(parsed):
        return ""
    if any(parsed in network for network in NEVER):
        return f"{address} is an address that no vendor may have: link-local, metadata or reserved. {REMEDY}"
    if parsed.is_loopback and not (_is_at_home() or _is_mock(parsed, port)):
        return f"{address} is this machine itself, while PUBLIC_URL says that the service is public. {REMEDY}"
    return ""


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine and no other."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1000)
def _parsed(address: str) -> IPv4Address | IPv6Address:
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return parsed.ipv4_mapped
        if parsed.sixtofour:
            return parsed.sixtofour
        if any(parsed in network for network in TRANSLATED):
            return IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed


def _is_allowed(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in settings.VENDOR_ALLOWED_ADDRESSES)


def _is_at_home() -> bool:
    """Whether the service itself is for this machine only: then its vendors may be here, too."""
    return is_loopback(settings.PUBLIC_URL)


def _is_mock(address: IPv4Address | IPv6Address, port: int) -> bool:
    """Whether the mock vendors of this installation listen there."""
    return address.is_loopback and port == settings.MOCK_PORT
