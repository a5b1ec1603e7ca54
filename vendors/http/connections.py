"""HTTP connections that keep the deadline of `this_call`, and the pools that reuse them."""

import socket
import ssl
from functools import cache
from typing import Any, cast

import requests
from django.conf import settings
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util import Url
from urllib3.util.ssl_ import create_urllib3_context

from vendors.http import addresses
from vendors.http.deadline import this_call
from vendors.http.response import Response, Source


class _SocketSource(Source):
    """Reads a socket; each read may take the time that is left."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock
        self._bytes = sock.makefile("rb", buffering=0)

    def receive_into(self, buffer: Any) -> int | None:
        self._socket.settimeout(this_call.time_left())
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()


class _PlainConnection(HTTPConnection):
    """Sends head and body together: as two packets they would wake the vendor, and us, twice."""

    _head: bytes | None = None  # b"" before it is written, None after it is sent
    _last: Response | None = None

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        self._last = Response(_SocketSource(sock), *args, **kwargs)
        return self._last

    @property
    def is_at_end(self) -> bool:
        """Whether the last response was read to its end."""
        return self._last is not None and self._last.is_complete

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left to read that the next call would take for its response."""
        return self.is_at_end and super().is_connected

    @property
    def is_connected(self) -> bool:
        """Whether the pool may reuse this connection; urllib3 asks before each request."""
        return not this_call.fresh_connection and self.is_clean

    def _new_conn(self) -> socket.socket:
        try:
            return _connect(self._dns_host.strip("[]"), self.port, self.socket_options or [])
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, str(error)) from error

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        self._head = b""
        super().putrequest(*args, **kwargs)

    def send(self, data: Any) -> None:
        if self._head == b"":
            self._head = data
            return
        data, self._head = (self._head or b"") + data, None
        if self.sock is None:
            self.connect()
        if this_call.before_sending:
            self._confirm()
        this_call.begin_sending()
        # Python applies the time-out to all of `data`, however many writes that takes.
        self.sock.settimeout(this_call.time_left())
        super().send(data)

    def _confirm(self) -> None:
        """Confirm the permit, and again if the vendor closed a kept connection meanwhile."""
        this_call.confirm()
        if self._last is not None and not self.is_clean:
            self.sock.close()
            self._last = None
            self.connect()
            this_call.confirm()


class _TLSConnection(_PlainConnection, HTTPSConnection):
    @property
    def is_clean(self) -> bool:
        # Bytes that TLS has read ahead no longer show on the socket.
        return super().is_clean and not cast(ssl.SSLSocket, self.sock).pending()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None and not conn.is_at_end:
            conn.close()
        super()._put_conn(conn)


class _TLSPool(_PlainPool, HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


@cache
def tls_context() -> ssl.SSLContext:
    """Return the trusted certificates: the public ones and VENDOR_CA_FILE.

    They are read once. Reading them for each connection would cost more than the whole call.
    """
    context = create_urllib3_context()
    context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
    if settings.VENDOR_CA_FILE:
        context.load_verify_locations(settings.VENDOR_CA_FILE)
    return context


def make_pool(url: Url) -> HTTPConnectionPool:
    """Return a new pool of connections to the host of `url`."""
    host = str(url.host)
    if url.scheme == "https":
        return _TLSPool(host, url.port, ssl_context=tls_context())
    return _PlainPool(host, url.port)


def _connect(host: str, port: int, options: list[tuple[int, int, int | bytes]]) -> socket.socket:
    """Try each address of the host; each gets an even share of the time that is left."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure = OSError("the host name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            addresses.check(str(address[0]), port)
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(this_call.time_left() / (len(found) - index))
            sock.connect(address)
            addresses.check_peer(sock)
            sock.settimeout(this_call.time_left())  # for the TLS handshake
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure
