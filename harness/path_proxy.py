"""A proxy as it stands before the callbacks' door: it passes on what begins with a prefix, byte for
byte, and nothing else.
"""

import socket
import threading
from contextlib import suppress

NOT_PASSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class PathProxy:
    """Looks at the address as it was sent, and keeps every header, also those with underscores. One
    request a connection.
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
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            target = head.split(b" ", 2)[1]
            _, scheme, rest = target.partition(b"://")
            path = (
                b"/" + rest.partition(b"/")[2] if scheme and not target.startswith(b"/") else target
            )
            if not path.startswith(self._prefix):
                client.sendall(NOT_PASSED)
                return
            with socket.create_connection(self._upstream) as upstream:
                upstream.sendall(head)
                while data := upstream.recv(65536):
                    client.sendall(data)
