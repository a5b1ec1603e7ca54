"""HTTP connections that keep one total deadline, whatever drips
(docs/decisions/0003-total-deadline.md says why so).

`this_call` is what this thread's call may still take. Connecting, sending and each single read from
the socket get the time that is then left, and no more.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, cast

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util import Url, parse_url
from urllib3.util.ssl_ import create_urllib3_context

from vendors.http import addresses
from vendors.http.response import Response, Source


class _Call(threading.local):
    ends_at = float("-inf")  # on the monotonic clock
    fresh_connection = False
    sent = False  # whether the vendor may have seen any of it
    before_sending: Callable[[], None] | None = None

    def begin(self, seconds: float, *, fresh_connection: bool) -> None:
        self.ends_at = time.monotonic() + seconds
        self.fresh_connection = fresh_connection
        self.sent = False

    def end_within(self, seconds: float) -> None:
        self.ends_at = min(self.ends_at, time.monotonic() + seconds)

    @contextmanager
    def permitted_by(self, confirm: Callable[[], None]) -> Iterator[None]:
        """Have `confirm` called when the connection stands, before the first byte of the first
        request is sent.

        What it raises ends the call unsent. The time that it takes is not the vendor's: the
        deadline is later by that.
        """
        self.before_sending = confirm
        try:
            yield
        finally:
            self.before_sending = None

    def confirm(self) -> None:
        asked_at = time.monotonic()
        if self.before_sending:
            self.before_sending()
        self.ends_at += time.monotonic() - asked_at

    def begin_sending(self) -> None:
        self.before_sending = None
        self.sent = True

    def time_left(self) -> float:
        """Return the seconds that are left, always more than 0. Raises TimeoutError when none are."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("The deadline of the call has passed.")
        return left


this_call = _Call()


class _Socket(Source):
    """The bytes of a socket; each read may take the time that is left."""

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
    """Head and body of a request go out together: two packets would wake the vendor, and us, twice."""

    _head: bytes | None = None  # b"" once it is due, None once it is sent
    _last: Response | None = None

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        self._last = Response(_Socket(sock), *args, **kwargs)
        return self._last

    @property
    def is_clean(self) -> bool:
        """Whether its last response was read to its end, and nothing has come since: else the next
        call would read that.
        """
        return self.is_at_end and super().is_connected

    @property
    def is_at_end(self) -> bool:
        return self._last is not None and self._last.is_whole

    @property
    def is_connected(self) -> bool:
        """Asked of a kept connection before it is used again: it counts as dropped where the call
        wants a fresh one.
        """
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
        self.sock.settimeout(
            this_call.time_left()
        )  # of the whole of `data`, however many writes that takes
        super().send(data)

    def _confirm(self) -> None:
        """Have the call permitted, with a connection that is good after that, however long it took."""
        this_call.confirm()
        if (
            self._last is not None and not self.is_clean
        ):  # a kept one, which the vendor has ended meanwhile
            self.sock.close()
            self._last = None
            self.connect()
            this_call.confirm()


class _TLSConnection(_PlainConnection, HTTPSConnection):
    @property
    def is_clean(self) -> bool:
        # What TLS has read ahead no longer shows on the socket.
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
def trusted() -> ssl.SSLContext:
    """Return what TLS connections trust, read once: to read it for each connection would cost more
    than the whole call.
    """
    context = create_urllib3_context()
    context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
    if settings.VENDOR_CA_FILE:
        context.load_verify_locations(settings.VENDOR_CA_FILE)
    return context


@lru_cache
def _target(url: str) -> tuple[str, Url]:
    """Return the URL as it is sent, and its parts. Raises what requests and urllib3 raise for one
    that is none.
    """
    request = PreparedRequest()
    request.prepare_url(url, None)
    prepared = str(request.url)
    return prepared, parse_url(prepared)


class Transport(HTTPAdapter):
    """Posts to vendors over connections that keep the deadline; remembers connections and nothing
    else of a call.

    It is requests without its Session, half of whose cost goes to what must not happen here:
    cookies, proxies, redirects.
    """

    MAX_POOLS = 50

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[tuple[str | None, ...], HTTPConnectionPool] = {}

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> BaseHTTPResponse:
        """Return the answer, its body still unread. Raises RequestException, OSError or ValueError."""
        request = PreparedRequest()
        request.method, request.body, (request.url, _) = "POST", body, _target(url)
        request.headers = CaseInsensitiveDict({**headers, "Content-Length": str(len(body))})
        answer: Any = self.send(request, stream=True, timeout=timeout_seconds)
        return cast(BaseHTTPResponse, answer)

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> HTTPConnectionPool:
        """Return what keeps the connection to this host. No proxies."""
        parts = _target(str(request.url))[1]
        place = parts.scheme, parts.netloc
        if place not in self._pools:
            if len(self._pools) >= self.MAX_POOLS:
                self._pools.pop(next(iter(self._pools))).close()
            self._pools[place] = _pool(parts)
        return self._pools[place]

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        return _target(str(request.url))[1].request_uri

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: `trusted` verifies. What requests would do here is to have the file read
        for each connection.
        """

    def build_response(self, req: PreparedRequest, resp: BaseHTTPResponse) -> BaseHTTPResponse:  # type: ignore[override]
        return resp

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


def _pool(parts: Url) -> HTTPConnectionPool:
    host = str(parts.host)
    if parts.scheme == "https":
        return _TLSPool(host, parts.port, ssl_context=trusted())
    return _PlainPool(host, parts.port)


def _connect(host: str, port: int, options: list[tuple[int, int, int | bytes]]) -> socket.socket:
    """Try each address of the host, each with an even share of the time that is left."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure = OSError("the name stands for no address")
    for untried, (family, kind, protocol, _, address) in zip(
        range(len(found), 0, -1), found, strict=True
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            addresses.check(str(address[0]), port)
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(this_call.time_left() / untried)
            sock.connect(address)
            addresses.check_peer(sock)
            sock.settimeout(this_call.time_left())  # for the TLS handshake
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure
