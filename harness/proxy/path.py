"""A reverse proxy as it stands in front of the callback endpoint: it forwards paths that begin with
a prefix, byte for byte, and nothing else.
"""

import socket
import threading
from contextlib import suppress

FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class PathProxy:
    """Compares the path as it was sent, and keeps every header, also those with underscores. Serves
    one request per connection.
    """

    def __init__(self, port: int, prefix: bytes) -> None:
        self._upstream = ("127.0.0.1", port)
        self._prefix = prefix
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            if not _path(head.split(b" ", 2)[1]).startswith(self._prefix):
                client.sendall(FORBIDDEN)
                return
            with socket.create_connection(self._upstream) as upstream:
                upstream.sendall(head)
                while data := upstream.recv(65536):
                    client.sendall(data)


def _path(target: bytes) -> bytes:
    """Return the path of a request target, which may be an absolute URL."""
    _, scheme, rest = target.partition(b"://")
    is_absolute = scheme and not target.startswith(b"/")
    return b"/" + rest.partition(b"/")[2] if is_absolute else target
