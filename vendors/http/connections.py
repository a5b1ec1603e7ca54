"""HTTP connections that keep the deadline of `this_call`, and the pools that reuse them."""

import http.client
import socket
import ssl
from contextlib import closing
from typing import Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util import Url

from vendors.http import addresses
from vendors.http.deadline import this_call
from vendors.http.outbound import OutboundError, Proxy, proxy_of, tls_context
from vendors.http.response import Response, Source
from vendors.outbound import Outbound

PROXY_REASONS: dict[type[BaseException], str] = {
    socket.gaierror: "has a host name that can't be resolved",
    ConnectionRefusedError: "refused the connection",
    TimeoutError: "can't be reached in time",
}
PROXY_REMEDY = "check that it runs, and its URL"
REFUSED_REMEDY = "check whether it allows and reaches the vendor's host"

Options = list[tuple[int, int, int | bytes]]


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

    def __init__(self, *args: Any, egress: Proxy | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._egress = egress

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
        host, options = self._dns_host.strip("[]"), self.socket_options or []
        try:
            if self._egress is None:
                return _connect(host, self.port, options)
            # What the name resolves to is the proxy's business.
            addresses.check_host(host, self.port)
            return self._connect_to(self._egress, options)
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, str(error)) from error

    def _connect_to(self, proxy: Proxy, options: Options) -> socket.socket:
        return _connect_to_proxy(proxy, options)

    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)
        if self._head:  # there is no body to send it with
            self.send(b"")

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
    def _connect_to(self, proxy: Proxy, options: Options) -> socket.socket:
        sock = _connect_to_proxy(proxy, options)
        try:
            _open_tunnel(sock, proxy, f"{self._dns_host}:{self.port}")
        except BaseException:
            sock.close()
            raise
        return sock

    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except ssl.SSLEOFError as error:
            if not this_call.sent:
                raise
            # As without TLS: then urllib3 still reads what the vendor said before it hung up.
            raise BrokenPipeError from error

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


def make_pool(url: Url, outbound: Outbound) -> HTTPConnectionPool:
    """Return a new pool of connections to the host of `url`. Raises OutboundError."""
    host = str(url.host)
    options: Any = {"egress": proxy_of(outbound)}
    if url.scheme == "https":
        return _TLSPool(host, url.port, ssl_context=tls_context(outbound), **options)
    return _PlainPool(host, url.port, **options)


def _connect_to_proxy(proxy: Proxy, options: Options) -> socket.socket:
    try:
        return _connect(proxy.host, proxy.port, options, is_proxy=True)
    except (OSError, UnicodeError) as error:
        reason = PROXY_REASONS.get(type(error), "can't be reached")
        raise OutboundError(f"its egress proxy {reason}; {PROXY_REMEDY}") from error


def _open_tunnel(sock: socket.socket, proxy: Proxy, target: str) -> None:
    """Ask the proxy for a connection to `target`; from then on, `sock` leads there."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    try:
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        with closing(Response(_SocketSource(sock), method="CONNECT")) as response:
            response.begin()
    except TimeoutError:
        raise OutboundError("its egress proxy did not connect to it in time") from None
    except (http.client.HTTPException, OSError) as error:
        raise OutboundError("its egress proxy gave no valid answer; check its URL") from error
    if not 200 <= response.status <= 299:
        raise refused_by_proxy(response.status)
    sock.settimeout(this_call.time_left())  # for the TLS handshake


def refused_by_proxy(status: int) -> OutboundError:
    """Return the error for a proxy that does not pass on a call."""
    remedy = "check the user name and password in its URL" if status == 407 else REFUSED_REMEDY
    return OutboundError(f"its egress proxy refused to connect (status {status}); {remedy}")


def _connect(host: str, port: int, options: Options, *, is_proxy: bool = False) -> socket.socket:
    """Try each address of the host; each gets an even share of the time that is left."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure = OSError("the host name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            if not is_proxy:
                addresses.check(str(address[0]), port)
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(this_call.time_left() / (len(found) - index))
            sock.connect(address)
            if not is_proxy:
                addresses.check_peer(sock)
            sock.settimeout(this_call.time_left())  # for the TLS handshake
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure
