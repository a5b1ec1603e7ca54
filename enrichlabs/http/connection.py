"""A connection to a client: the main thread reads from it, and threads answer on it."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn import http, util
from gunicorn.workers.gthread import TConn

if TYPE_CHECKING:
    from enrichlabs.http.gunicorn_worker import HTTPWorker
    from enrichlabs.http.incoming import Incoming

RECEIVE_BYTES = 32 * 1024
RECEIVE_SECONDS = 2.0
ANSWER_SECONDS = 30.0  # for a client to take its answer


class ClientSocket(socket.socket):
    """A connection to a client: it never blocks the main thread, and a thread only until a
    deadline.

    gunicorn turns blocking on and off several times a request, each time a system call. Here the
    socket never blocks; what a thread sends is waited for only where the client has not taken it at
    once.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        super().setblocking(False)
        self.answer_deadline: float | None = None
        self.receive_deadline: float | None = (
            None  # of one request, however many pieces it comes in
        )
        self._held = b""

    def setblocking(self, flag: bool) -> None:
        pass

    def settimeout(self, value: float | None) -> None:
        pass

    def receive(self) -> bytes:
        """Return what has come in, nothing after the client's last byte. Raises BlockingIOError
        when nothing has.
        """
        return super().recv(RECEIVE_BYTES)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive in a thread. All of a request is there when it begins, unless gunicorn's parser
        and Incoming disagree.
        """
        if self.receive_deadline is None:
            self.receive_deadline = monotonic() + RECEIVE_SECONDS
        with self._waiting(self.receive_deadline):
            return super().recv(size, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send an answer; its head waits for what gunicorn sends next, so that both are one packet
        and one system call.
        """
        if self._held:
            data, self._held = self._held + data, b""
        elif data.startswith(b"HTTP/1."):
            self._held = data
            return
        self._send_all(data, flags)

    def flush(self) -> None:
        """Send the head of an answer that has no body."""
        if self._held:
            data, self._held = self._held, b""
            self._send_all(data, 0)

    def _send_all(self, data: bytes, flags: int) -> None:
        try:
            sent = self.send(data, flags)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            if self.answer_deadline is None:
                self.answer_deadline = monotonic() + ANSWER_SECONDS
            with self._waiting(self.answer_deadline):
                super().sendall(memoryview(data)[sent:], flags)

    @contextmanager
    def _waiting(self, deadline: float) -> Iterator[None]:
        super().settimeout(max(0.001, deadline - monotonic()))
        try:
            yield
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "The client took too long") from None
        finally:
            super().setblocking(False)


class Connection(TConn):
    incoming: "Incoming"

    def __init__(
        self, worker: "HTTPWorker", accepted: socket.socket, client: Any, server: Any
    ) -> None:
        super().__init__(worker.cfg, ClientSocket(accepted), client, server)
        self.worker = worker
        self.parser = http.get_parser(self.cfg, self.sock, client)
        self.initialized = self.data_ready = True  # the main thread has waited for the data
        self.is_polled = False
        self.lingers_until = 0.0
        self.lingered_bytes = 0

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.worker.linger(self)
        else:
            util.close(self.sock)
