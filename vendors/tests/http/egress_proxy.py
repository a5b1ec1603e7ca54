"""An egress proxy as companies run them: it passes on requests for http, and opens tunnels."""

import re
import socket
from threading import Thread

from harness.vendor.server import Server, Visit

TARGET = re.compile(rb"CONNECT ([^:]+):(\d+) HTTP/1\.1\r\n")
ABSOLUTE = re.compile(rb"[A-Z]+ http://([^:/]+):(\d+)(/\S*) HTTP/1\.1\r\n")
REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 6\r\n\r\nsecret"


class EgressProxy(Server):
    """`authorization`: what Proxy-Authorization must hold; empty for anything.

    Every name leads to this machine, as the proxy resolves it.
    """

    def __init__(self, authorization: str = "") -> None:
        self.authorization = authorization.encode()
        super().__init__(self._talk)

    def _talk(self, visit: Visit) -> None:
        while head := visit.read_request():
            if self.authorization and b"\r\nProxy-Authorization: " + self.authorization not in head:
                visit.send(REFUSED)
            elif match := TARGET.match(head):
                self._tunnel(visit, int(match[2]))
                return
            elif match := ABSOLUTE.match(head):
                self._pass_on(visit, head, int(match[2]), match[3])
            else:
                visit.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return

    def _tunnel(self, visit: Visit, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as target:
            visit.send(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")
            Thread(target=_copy, args=(visit.connection, target), daemon=True).start()
            _copy(target, visit.connection)

    def _pass_on(self, visit: Visit, request: bytes, port: int, path: bytes) -> None:
        start, _, rest = request.partition(b"\r\n")
        with socket.create_connection(("127.0.0.1", port)) as target:
            target.sendall(b"%s %s HTTP/1.1\r\n" % (start.split()[0], path) + rest)
            visit.send(target.recv(65536))


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has ended
