"""Fake vendors that control each byte: they drip, hang, disconnect or never end."""

import socket
import ssl
import struct
from collections.abc import Callable
from threading import Event, Thread


class Visit:
    """One connection to a server."""

    def __init__(self, connection: socket.socket, server: "Server") -> None:
        self.connection = connection
        self.server = server

    def read_request(self) -> bytes:
        """Return the next request, head and body, or b"" if the client has disconnected."""
        data = b""
        while b"\r\n\r\n" not in data or len(data) < _whole_length(data):
            piece = self.connection.recv(65536)
            if not piece:
                return b""
            data += piece
        self.server.requests.append(data)
        return data

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes, gap_seconds: float = 0.05) -> None:
        for byte in data:
            self.send(bytes([byte]))
            self.server.stopped.wait(gap_seconds)

    def hang(self) -> None:
        self.server.stopped.wait()

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def _whole_length(data: bytes) -> int:
    head, _, _ = data.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    return len(head) + 4 + sum(lengths)


class Server:
    """Calls `talk` for each connection, in its own thread, until it is stopped."""

    def __init__(self, talk: Callable[[Visit], object], tls: ssl.SSLContext | None = None) -> None:
        self.talk, self.tls = talk, tls
        self.requests: list[bytes] = []
        self.visits = self.ended = 0
        self.stopped = Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/"
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
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.talk(Visit(connection, self))
        except OSError:
            pass  # the client has disconnected, as some tests intend
        finally:
            connection.close()
            self.ended += 1


def reply(status: str = "200 OK", body: bytes = b'{"name": "John Doe"}', **headers: str) -> bytes:
    """Return a response as bytes. `Retry_After="5"` is the header Retry-After."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(*replies: bytes) -> Callable[[Visit], None]:
    """Answer each request on a kept connection with the next reply, then always with the last."""

    def talk(visit: Visit) -> None:
        while visit.read_request():
            visit.send(replies[min(len(visit.server.requests), len(replies)) - 1])

    return talk
