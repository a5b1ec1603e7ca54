"""A total deadline for each request, whatever the peer does.

urllib3's time-outs apply to each read alone, so that a peer which sends a byte now and then would
never time out. Here, each read from the socket gets the time that is left.
"""

import http.client
import io
import socket
import threading
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Running(threading.local):
    ends_at = float("inf")
    idle_seconds = float("inf")

    def time_left(self) -> float:
        left = min(self.ends_at - time.monotonic(), self.idle_seconds)
        if left <= 0:
            raise TimeoutError("The deadline of the request has passed.")
        return left


class Deadline:
    """Applies to what this thread reads and sends: `seconds` in total, `idle_seconds` without a
    byte.
    """

    def __init__(self, seconds: float, idle_seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds
        self.idle_seconds = idle_seconds

    def apply(self) -> None:
        running.ends_at, running.idle_seconds = self.ends_at, self.idle_seconds


running = _Running()


class _Source(io.RawIOBase):
    """Reads from a socket within the deadline that applies at that moment."""

    def __init__(self, sock: socket.socket, file: Any) -> None:
        self._sock = sock
        self._file = file  # keeps the socket open, and is what makefile() returned

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(running.time_left())
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Source(sock, self.fp))


class _PlainConnection(HTTPConnection):
    response_class = _Response

    def send(self, data: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(running.time_left())
        super().send(data)


class _TLSConnection(_PlainConnection, HTTPSConnection):
    pass


class PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
