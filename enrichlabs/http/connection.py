"""A connection to a client. The main thread reads from it; threads send responses on it."""

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from selectors import EVENT_READ, BaseSelector
from time import monotonic
from typing import TYPE_CHECKING, Any
from wsgiref.types import WSGIEnvironment

from gunicorn import http, util
from gunicorn.workers.gthread import TConn

if TYPE_CHECKING:
    from enrichlabs.http.incoming import Incoming

RECEIVE_BYTES = 32 * 1024
RECEIVE_TIMEOUT_SECONDS = 2.0
RESPONSE_TIMEOUT_SECONDS = 30.0  # for a client to read its response


class ClientSocket(socket.socket):
    """A socket that never blocks the main thread, and a thread only until a deadline.

    gunicorn switches between blocking and non-blocking several times a request, each time with a
    system call. This socket is always non-blocking; a thread waits only if the client has not read
    what was sent before.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        super().setblocking(False)
        # Of one request, in however many pieces it comes or its response is read.
        self.receive_deadline: float | None = None
        self.response_deadline: float | None = None
        # Makes the response under way the last one, and lets it say so.
        self.force_close: Callable[[], None] = lambda: None
        self._head = b""

    def setblocking(self, flag: bool) -> None:
        """Do nothing: gunicorn's switching is not needed."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing: gunicorn's switching is not needed."""

    def receive(self) -> bytes:
        """Return what has arrived; empty after the client's last byte. Raises BlockingIOError if
        nothing has arrived.
        """
        return super().recv(RECEIVE_BYTES)

    def stop_receiving(self) -> None:
        """Have no thread wait for the rest of this request."""
        self.receive_deadline = 0.0

    @property
    def has_stopped_receiving(self) -> bool:
        return self.receive_deadline == 0.0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive in a thread. The whole request is there before it begins, unless gunicorn's
        parser and Incoming disagree.
        """
        if self.receive_deadline is None:
            self.receive_deadline = monotonic() + RECEIVE_TIMEOUT_SECONDS
        with self._blocking_until(self.receive_deadline):
            return super().recv(size, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send a part of a response. The head is held until gunicorn sends the next part, so that
        both are one packet and one system call.
        """
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1."):
            self._head = data
            return
        self._send_all(data, flags)

    def flush(self) -> None:
        """Send the head of a response that has no body."""
        if self._head:
            data, self._head = self._head, b""
            self._send_all(data, 0)

    def _send_all(self, data: bytes, flags: int) -> None:
        try:
            sent = self.send(data, flags)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            if self.response_deadline is None:
                self.response_deadline = monotonic() + RESPONSE_TIMEOUT_SECONDS
            with self._blocking_until(self.response_deadline):
                super().sendall(memoryview(data)[sent:], flags)

    @contextmanager
    def _blocking_until(self, deadline: float) -> Iterator[None]:
        super().settimeout(max(0.001, deadline - monotonic()))
        try:
            yield
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "The client took too long") from None
        finally:
            super().setblocking(False)


class Connection(TConn):
    """A connection, and the request that is being read from it."""

    incoming: "Incoming"

    def __init__(
        self,
        cfg: Any,
        accepted: socket.socket,
        client: Any,
        server: Any,
        *,
        linger: Callable[["Connection"], None],
    ) -> None:
        super().__init__(cfg, ClientSocket(accepted), client, server)
        self.parser = http.get_parser(self.cfg, self.sock, client)
        self.initialized = self.data_ready = True  # no thread has to wait for data
        self.lingers_until = 0.0
        self.lingered_bytes = 0
        self._linger = linger
        self._is_watched = False

    def watch(self, poller: BaseSelector, callback: Callable[["Connection", Any], None]) -> None:
        """Have the main thread call `callback` with this connection when there is data."""
        if not self._is_watched:
            self._is_watched = True
            poller.register(self.sock, EVENT_READ, partial(callback, self))

    def unwatch(self, poller: BaseSelector) -> None:
        if self._is_watched:
            self._is_watched = False
            poller.unregister(self.sock)

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self._linger(self)
        else:
            util.close(self.sock)


def close_after_response(environ: WSGIEnvironment) -> None:
    """Close the connection once the response to this request is sent, which says so."""
    connection = environ.get("gunicorn.socket")
    if isinstance(connection, ClientSocket):
        connection.force_close()
