"""A port that refuses connections at times, and stays reserved meanwhile."""

import socket
from collections.abc import Callable
from selectors import EVENT_READ, BaseSelector

BACKLOG = 256


class Listener:
    """Calls `accept` with the listening socket when a client connects, until it is closed."""

    def __init__(
        self, port: int, selector: BaseSelector, accept: Callable[[socket.socket], object]
    ) -> None:
        self._holder = _bound(port)  # never listens: it reserves the port
        self.port: int = self._holder.getsockname()[1]
        self._selector = selector
        self._accept = accept
        self._socket: socket.socket | None = None
        self.open()

    def open(self) -> None:
        if self._socket is not None:
            return
        listening = self._socket = _bound(self.port)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        self._selector.register(listening, EVENT_READ, lambda _: self._accept(listening))

    def refuse(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        self.refuse()
        self._holder.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
