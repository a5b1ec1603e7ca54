"""A connection to a client. The main thread reads from it; threads send responses on it."""

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from selectors import EVENT_READ, BaseSelector
from time import monotonic
from typing import TYPE_CHECKING, Any
from wsgiref.types import WSGIEnvironment

from gunicorn import http, util
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

if TYPE_CHECKING:
    from enrichlabs.http.incoming import Incoming

RECEIVE_BYTES = 32 * 1024
RECEIVE_TIMEOUT_SECONDS = 2.0
# For a client to read its response; of a streamed one, the part that is next.
RESPONSE_TIMEOUT_SECONDS = 30.0
STREAM_TIMEOUT_SECONDS = 600.0  # for a streamed response as a whole


class ClientSocket(socket.socket):
    """A socket that never blocks the main thread, and a thread only until a deadline.

    gunicorn switches between blocking and non-blocking several times a request, each time with a
    system call. This socket is always non-blocking; a thread waits only if the client has not read
    what was sent before.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        super().setblocking(False)
        # Makes the response under way the last one, and lets it say so.
        self.force_close: Callable[[], None] = lambda: None
        self._head = b""
        self.begin_request()

    def begin_request(self) -> None:
        """Forget the deadlines of the request before."""
        # Of one request, in however many pieces it comes or its response is read.
        self.receive_deadline: float | None = None
        self.response_deadline: float | None = None
        self.stream_deadline: float | None = None
        # Waits for more of a body that its view reads as it comes.
        self.wait_for_more: Callable[[], None] | None = None

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
        """Receive in a thread. The whole request is there before it begins, unless its view reads
        the body as it comes, or gunicorn's parser and Incoming disagree.
        """
        while self.wait_for_more:
            self.wait_for_more()
            with suppress(BlockingIOError):
                return super().recv(size, flags)
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

    def begin_stream(self) -> None:
        """Give the response under way the deadlines of a streamed one."""
        self.stream_deadline = monotonic() + STREAM_TIMEOUT_SECONDS

    def _send_all(self, data: bytes, flags: int) -> None:
        if self.stream_deadline and self.stream_deadline < monotonic():
            raise BrokenPipeError(errno.EPIPE, "The response took too long")
        rest = memoryview(data)
        while rest:
            try:
                sent = self.send(rest, flags)
            except BlockingIOError:
                with self._blocking_until(self._send_deadline()):
                    sent = self.send(rest, flags)
            rest = rest[sent:]

    def _send_deadline(self) -> float:
        """Return until when the client must have read enough for more to be sent."""
        deadline = monotonic() + RESPONSE_TIMEOUT_SECONDS
        if self.stream_deadline:
            return min(deadline, self.stream_deadline)
        self.response_deadline = self.response_deadline or deadline
        return self.response_deadline

    @contextmanager
    def _blocking_until(self, deadline: float) -> Iterator[None]:
        super().settimeout(max(0.001, deadline - monotonic()))
        try:
            yield
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "The client took too long") from None
        finally:
            super().setblocking(False)


class Unreader(SocketUnreader):
    """What gunicorn's parser reads from: what has arrived, then the socket.

    It gives out what has arrived in pieces, as a socket does. For each chunk of a body, the parser
    copies the rest of its piece, which takes the square of its length.
    """

    def __init__(self, sock: ClientSocket) -> None:
        super().__init__(sock)
        self._arrived = memoryview(b"")

    def add(self, data: bytes) -> None:
        """Read `data` before the socket."""
        self._arrived = memoryview(data)

    def chunk(self, size_hint: int | None = None) -> bytes:
        if not self._arrived:
            data: bytes = super().chunk(size_hint)
            return data
        size = max(self.mxchunk, size_hint or 0)
        piece, self._arrived = self._arrived[:size], self._arrived[size:]
        return bytes(piece)

    def take_buffered(self) -> bytes:
        data: bytes = super().take_buffered() + self._arrived
        self._arrived = memoryview(b"")
        return data


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
        self.parser.unreader = Unreader(self.sock)
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


def stream_response(environ: WSGIEnvironment) -> None:
    """Give the response to this request the deadlines of a streamed one."""
    connection = environ.get("gunicorn.socket")
    if isinstance(connection, ClientSocket):
        connection.begin_stream()
