"""Closes connections as RFC 9112 (9.6) requires: a client that is still sending must be able to
read its response. So what it sends is discarded until it closes its side, or its time is up.
"""

import socket
from time import monotonic

from gunicorn.workers.gthread import ThreadWorker

from enrichlabs.http.connection import Connection

LINGER_SECONDS = 2.0  # after the last response
MAX_LINGER_BYTES = 8 * 1024 * 1024


class LingeringClose:
    """The connections that are being closed, in the main thread."""

    def __init__(self, worker: ThreadWorker) -> None:
        self._worker = worker
        self._connections: set[Connection] = set()

    def close(self, connection: Connection) -> None:
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return connection.close()
        self._worker.nr_conns += 1
        connection.lingers_until = monotonic() + LINGER_SECONDS
        self._connections.add(connection)
        return self._discard(connection)

    def close_expired(self, now: float) -> None:
        for connection in [each for each in self._connections if each.lingers_until < now]:
            self._end(connection)

    def _discard(self, connection: Connection, sock: object = None) -> None:
        try:
            data = connection.sock.receive()
        except BlockingIOError:
            return connection.watch(self._worker.poller, self._discard)
        except OSError:
            data = b""
        connection.lingered_bytes += len(data)
        if not data or connection.lingered_bytes > MAX_LINGER_BYTES:
            return self._end(connection)
        return connection.watch(self._worker.poller, self._discard)

    def _end(self, connection: Connection) -> None:
        self._connections.discard(connection)
        connection.unwatch(self._worker.poller)
        self._worker.nr_conns -= 1
        connection.close()
