"""The egress proxy and the certificates that an `Outbound` names."""

import os
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote, urlsplit

import requests
from django.conf import settings
from urllib3.util.ssl_ import create_urllib3_context

from vendors.outbound import DIRECT, Outbound

DEFAULT_PROXY_PORT = 80
NOT_A_PROXY = (
    "the URL of its egress proxy is not valid; it must be like http://proxy.example:3128 or "
    "http://user:password@proxy.example:3128"
)
NO_CA = "must hold certificates in PEM"
NO_CLIENT_CERT = "must hold a certificate and its private key, without a password, in PEM"

Stamp = tuple[tuple[int, ...], ...]


class OutboundError(OSError):
    """A proxy or a file of certificates can't be used.

    The message completes the sentence "The vendor could not be reached: ..." and names the remedy,
    but never a password or what a file holds.
    """


@dataclass(frozen=True)
class Proxy:
    """`authorization` is the value of the header Proxy-Authorization; empty for none."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)


def proxy_of(outbound: Outbound) -> Proxy | None:
    """Raises OutboundError if the proxy's URL is not valid."""
    return _proxy_of(outbound.proxy_url) if outbound.proxy_url else None


def stamp_of(outbound: Outbound) -> Stamp:
    """Return what changes when a file does. Raises OutboundError if one can't be read."""
    if not (outbound.ca_file or outbound.client_cert_file):
        return ()
    files = (("ca_file", outbound.ca_file), ("client_cert_file", outbound.client_cert_file))
    return tuple(_stamp(key, path) for key, path in files if path)


def seen_of(outbound: Outbound) -> Stamp | str:
    """Return what changes when a file does, or when one appears or disappears."""
    try:
        return stamp_of(outbound)
    except OutboundError as error:
        return str(error)


def tls_context(outbound: Outbound = DIRECT) -> ssl.SSLContext:
    """Return the certificates to trust and to show. Raises OutboundError.

    They are read once, and again when a file of the Outbound has changed. Reading the public ones
    for each connection would cost more than the whole call.
    """
    return _read(outbound.ca_file, outbound.client_cert_file, stamp_of(outbound))


def fault_of(outbound: Outbound) -> str:
    """Return why calls can't leave this way, or ''. Doesn't connect to the proxy."""
    try:
        proxy_of(outbound)
        if outbound.ca_file or outbound.client_cert_file:
            tls_context(outbound)
    except OutboundError as error:
        text = str(error)
        return f"{text[:1].upper()}{text[1:]}."
    return ""


@lru_cache
def _proxy_of(url: str) -> Proxy:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or DEFAULT_PROXY_PORT
    except ValueError:
        raise OutboundError(NOT_A_PROXY) from None
    is_bare = parts.path in ("", "/") and not (parts.query or parts.fragment)
    if parts.scheme != "http" or not host or not is_bare or not host.isascii():
        raise OutboundError(NOT_A_PROXY)
    if parts.username is None:
        return Proxy(host, port)
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(host, port, f"Basic {b64encode(pair.encode()).decode()}")


def _stamp(key: str, path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise _unreadable(key, path, error) from None
    return found.st_mtime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=64)
def _read(ca_file: str, client_cert_file: str, stamp: Stamp) -> ssl.SSLContext:
    context = create_urllib3_context()
    # First what may be wrong: a failure is not kept, and the public certificates take 20 ms.
    if client_cert_file:
        _load_client_cert(context, client_cert_file)
    if ca_file:
        _load_ca(context, ca_file)
    context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
    if settings.VENDOR_CA_FILE:
        context.load_verify_locations(settings.VENDOR_CA_FILE)
    return context


def _load_ca(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise OutboundError(f"the file {path} that ca_file names {NO_CA}") from None
    except (OSError, ValueError) as error:
        raise _unreadable("ca_file", path, error) from None


def _load_client_cert(context: ssl.SSLContext, path: str) -> None:
    try:
        # Without a password, OpenSSL would ask for one at the terminal.
        context.load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError):
        raise OutboundError(
            f"the file {path} that client_cert_file names {NO_CLIENT_CERT}"
        ) from None
    except OSError as error:
        raise _unreadable("client_cert_file", path, error) from None


def _unreadable(key: str, path: str, error: Exception) -> OutboundError:
    reason = getattr(error, "strerror", None) or "not a path"
    return OutboundError(
        f"the file {path} that {key} names can't be read ({reason}); put it there, readable for "
        f"the service, or correct {key}"
    )
