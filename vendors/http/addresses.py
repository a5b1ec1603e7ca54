"""Which addresses vendors may have: protection against server-side request forgery.

Otherwise a user who may change a vendor's URL could have this machine call what only it can reach:
a cloud's metadata service, which hands out credentials, or a service that trusts local connections.
The address of the connection is checked, not just the host name, which may resolve to anything.
"""

import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings

REMEDY = "To allow it, add it to VENDOR_ALLOWED_ADDRESSES."
LINK_LOCAL = ["169.254.0.0/16", "fe80::/10"]
METADATA = ["fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32", "192.0.0.192/32"]
RESERVED = ["0.0.0.0/8", "::/128", "224.0.0.0/4", "240.0.0.0/4", "ff00::/8"]
FORBIDDEN = [ip_network(network) for network in (*LINK_LOCAL, *METADATA, *RESERVED)]
# An IPv4 address in the last 32 bits: NAT64, local NAT64 and SIIT.
NAT64 = ["64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96"]
TRANSLATED = [ip_network(network) for network in NAT64]


class RefusedAddressError(OSError):
    """Vendors may not have this address. The message says why."""


def check(address: str, port: int) -> None:
    """Raises RefusedAddressError if vendors may not have this address."""
    if reason := refusal(address, port):
        raise RefusedAddressError(reason)


def check_peer(sock: socket.socket) -> None:
    """Raises RefusedAddressError if the connection leads to this machine and may not."""
    own, peer = sock.getsockname(), sock.getpeername()
    if own[0] != peer[0] or _is_local_service():
        return
    address = _parsed(peer[0])
    if not (_is_allowed(address) or _is_mock(address, peer[1])):
        raise RefusedAddressError(f"{peer[0]} is this machine itself. {REMEDY}")


def check_host(host: str, port: int) -> None:
    """Raises RefusedAddressError if the host is an address that vendors may not have.

    A name is not resolved: a proxy will do that, from where it stands.
    """
    if reason := refusal_of_host(host, port):
        raise RefusedAddressError(reason)


def refusal_of_host(host: str, port: int) -> str:
    """Return why a vendor may not have this host, or "" if it may or must be resolved first."""
    if host == "localhost" or host.endswith(".localhost"):
        return refusal("127.0.0.1", port)
    try:
        # getaddrinfo also reads unusual spellings, such as 2852039166 and 0xa9.254.43518.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ""
    return next(filter(None, (refusal(str(sockaddr[0]), port) for *_, sockaddr in found)), "")


def refusal(address: str, port: int) -> str:
    """Return why a vendor may not have this address, or ""."""
    parsed = _parsed(address)
    if _is_allowed(parsed):
        return ""
    if any(parsed in network for network in FORBIDDEN):
        return f"{address} is a link-local, metadata or reserved address. {REMEDY}"
    if parsed.is_loopback and not (_is_local_service() or _is_mock(parsed, port)):
        return f"{address} is this machine itself, but PUBLIC_URL is public. {REMEDY}"
    return ""


def is_loopback(url: str) -> bool:
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


def _is_local_service() -> bool:
    """Whether EnrichLabs serves this machine only: then vendors may be on it, too."""
    return is_loopback(settings.PUBLIC_URL)


def _is_mock(address: IPv4Address | IPv6Address, port: int) -> bool:
    """Whether this is where the mock vendors of this installation listen."""
    return address.is_loopback and port == settings.MOCK_PORT
