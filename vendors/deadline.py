"""HTTP connections that keep one total deadline, whatever drips (docs/decisions/0003-total-deadline.md says why so).

`this_call` is what this thread's call may still take. Connecting, sending and each single read from the socket get the time
that is then left, and no more.
"""

import http.client
import io
import socket
import ssl
import threading
import time
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context


class _Call(threading.local):
    ends_at = float("-inf")  # on the monotonic clock
    fresh_connection = False
    sent = False  # whether the vendor may have seen any of it

    def begin(self, seconds: float, *, fresh_connection: bool) -> None:
        self.ends_at = time.monotonic() + seconds
        self.fresh_connection = fresh_connection
        self.sent = False

    def end_within(self, seconds: float) -> None:
        self.ends_at = min(self.ends_at, time.monotonic() + seconds)

    def time_left(self) -> float:
        """Return the seconds that are left, always more than 0. Raises TimeoutError when none are."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("The deadline of the call has passed.")
        return left


this_call = _Call()


class _Reader(io.RawIOBase):
    """The bytes of a socket; each read may take the time that is left."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._bytes = sock.makefile("rb", buffering=0)
        self.has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(this_call.time_left())
        count = self._bytes.readinto(buffer)
        self.has_ended = count == 0
        return count

    def close(self) -> None:
        self._bytes.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Its status line, headers and body all come through the one file that is made here."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self._reader = _Reader(sock)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        if self._reader.has_ended:  # which the standard library takes for the end of the head
            raise http.client.RemoteDisconnected("The connection broke in the head of the answer.")


class _PlainConnection(HTTPConnection):
    response_class = _Response

    @property
    def is_connected(self) -> bool:
        """Asked of a kept connection before it is used again: it counts as dropped where the call wants a fresh one."""
        return not this_call.fresh_connection and super().is_connected

    def _new_conn(self) -> socket.socket:
        try:
            return _connect(self._dns_host.strip("[]"), self.port, self.socket_options or [])
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, str(error)) from error

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        this_call.sent = True
        self.sock.settimeout(this_call.time_left())  # of the whole of `data`, however many writes that takes
        super().send(data)


class _TLSConnection(_PlainConnection, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


@cache
def trusted() -> ssl.SSLContext:
    """Return what TLS connections trust, read once: to read it for each connection would cost more than the whole call."""
    context = create_urllib3_context()
    context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
    return context


class _Transport(HTTPAdapter):
    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: `trusted` verifies. What requests would do here is to have the file read for each connection."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=trusted())
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}


class Session(requests.Session):
    """Speaks to vendors over connections that keep the deadline; remembers connections and nothing else of a call."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        transport = _Transport(pool_connections=50, pool_maxsize=1)
        self.mount("http://", transport)
        self.mount("https://", transport)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Redirects are not followed. When requests sees one it reads the whole body, even when told not to follow."""


def _connect(host: str, port: int, options: list[tuple[int, int, int | bytes]]) -> socket.socket:
    """Try each address of the host, each with an even share of the time that is left."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure = OSError("the name stands for no address")
    for untried, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(this_call.time_left() / untried)
            sock.connect(address)
            sock.settimeout(this_call.time_left())  # for the TLS handshake
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure
