"""The address of the client that sent a request."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from django.conf import settings


def client_address(environ: Mapping[str, Any]) -> str:
    """Return the address of the connection or, if that is one of TRUSTED_PROXIES, the last address
    in X-Forwarded-For that is none of them.

    Empty if it is unknown: for a Unix socket, or if a proxy has sent something else than addresses.
    """
    address = _bare(environ.get("REMOTE_ADDR", ""))
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    senders = forwarded.split(",") if forwarded else []
    # Each proxy appends the address it was called from. What the client itself sent comes first.
    while senders and _is_trusted(address):
        address = _bare(senders.pop().strip())
    return address


def is_the_clients(environ: Mapping[str, Any]) -> bool:
    """Whether client_address is the client's own, and not that of a proxy which is not trusted."""
    peer = _bare(environ.get("REMOTE_ADDR", ""))
    is_direct = not environ.get("HTTP_X_FORWARDED_FOR") or _is_trusted(peer)
    return is_direct and bool(client_address(environ))


def _is_trusted(address: str) -> bool:
    return bool(address) and any(
        ip_address(address) in network for network in settings.TRUSTED_PROXIES
    )


@lru_cache(maxsize=256)  # mostly the same few; to parse one takes as long as the rest of the check
def _bare(text: str) -> str:
    """Return an IP address, IPv4 also where it is written as IPv6; empty if it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)
