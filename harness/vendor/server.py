"""A server that gives a test full control over the bytes of each connection."""

import re
import socket
import ssl
import struct
import time
from collections.abc import Callable
from threading import Event, Thread

BACKLOG = 4096
RESET = struct.pack("ii", 1, 0)  # linger for zero seconds: close() sends a reset
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Visit:
    """One connection to a server."""

    def __init__(self, connection: socket.socket, server: "Server") -> None:
        self.connection = connection
        self.server = server
        self.requested_at = 0.0  # Unix seconds when the first bytes of the last request arrived

    def read_request(self) -> bytes:
        """Return the next request, head and body, or b"" if the client closed the connection."""
        data = self._receive()
        self.requested_at = time.time()
        while data and (missing := _missing(data)):
            piece = self._receive(missing)
            data = data + piece if piece else b""
        if data and self.server.keeps_requests:
            self.server.requests.append(data)
        return data

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes, gap_seconds: float = 0.05) -> None:
        for byte in data:
            self.send(bytes([byte]))
            self.server.stopped.wait(gap_seconds)

    def hang(self, seconds: float | None = None) -> None:
        """Send nothing until `seconds` have passed or the server stops."""
        self.server.stopped.wait(seconds)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.connection.close()

    def _receive(self, size: int = 0) -> bytes:
        return self.connection.recv(max(size, 65536))


def _missing(data: bytes) -> int:
    """Return how many bytes the request still lacks; 1 if its length is not known yet."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return 1
    length = CONTENT_LENGTH.search(head)
    return max(0, int(length[1]) - len(body)) if length else 0


class Server:
    """Calls `talk` with each connection, each in its own thread, until it is stopped.

    `requests` holds every request that `Visit.read_request` returned. `visits` and `ended` count
    the connections that were opened and that are finished.
    """

    keeps_requests = True

    def __init__(
        self,
        talk: Callable[[Visit], object],
        tls: ssl.SSLContext | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.talk, self.tls = talk, tls
        self.requests: list[bytes] = []
        self.visits = self.ended = 0
        self.stopped = Event()
        self.listener = socket.create_server((host, port), backlog=BACKLOG)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}/"
        Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self.stopped.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.visits += 1
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.talk(Visit(connection, self))
        except OSError:
            pass  # the client closed the connection, as some tests make it do
        finally:
            connection.close()
            self.ended += 1


def reply(status: str = "200 OK", body: bytes = b'{"name": "John Doe"}', **headers: str) -> bytes:
    """Return a response as bytes. `Retry_After="5"` becomes the header Retry-After."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(*replies: bytes) -> Callable[[Visit], None]:
    """Return a `talk` that sends these replies in turn, and then repeats the last."""

    def talk(visit: Visit) -> None:
        while visit.read_request():
            visit.send(replies[min(len(visit.server.requests), len(replies)) - 1])

    return talk
