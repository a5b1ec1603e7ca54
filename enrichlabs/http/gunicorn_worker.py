"""gunicorn's threaded worker, which begins with a request when all of it is there
(docs/decisions/0015-request-deadlines.md).

The main thread reads, for all connections together; a thread only ever has work to do. So clients
that send slowly, or nothing, take none, and are told to go when their time is up.
"""

import errno
import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import ThreadWorker

from enrichlabs.http.connection import Connection

if TYPE_CHECKING:
    from enrichlabs.http.incoming import Incoming
    from jobs.api.problems import Problem

# Of requests that have not come in completely yet, in each process.
MAX_WAITING_BYTES = 64 * 1024 * 1024
LINGER_SECONDS = (
    2.0  # so long after the last answer a client may still send before the connection is cut
)
MAX_LINGER_BYTES = 8 * 1024 * 1024
CHECK_INTERVAL_SECONDS = 0.5


class HTTPWorker(ThreadWorker):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading: dict[Connection, None] = {}  # the one that began first comes first
        self._lingering: set[Connection] = set()
        self._waiting_bytes = 0
        self._next_look = 0.0

    def run(self) -> None:
        # Not before: the master keeps no code of ours, so that SIGHUP loads what is new.
        from enrichlabs.http import refusals
        from enrichlabs.http.incoming import Incoming, too_slow
        from jobs.api.problems import Problem, overloaded

        self._incoming, self._too_slow, self._problem = Incoming, too_slow, Problem
        self._refusals, self._overloaded = refusals, overloaded
        super().run()

    def accept(self, listener: Any) -> None:
        if self.cfg.is_ssl:
            super().accept(listener)
            return
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        self._make_room()
        self._begin(Connection(self, accepted, client, listener.getsockname()))

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        if not isinstance(conn, Connection):
            super().on_client_socket_readable(conn, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._begin(conn)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        # What came in behind the request is the next one, or a part of it.
        is_kept = (
            isinstance(conn, Connection)
            and not fs.cancelled()
            and fs.exception() is None
            and fs.result()
        )
        if is_kept and (data := conn.parser.unreader.take_buffered()):
            self._begin(conn, data)
        else:
            super().finish_request(conn, fs)
        # where threads had every connection, none could be closed for the next client
        self._make_room()

    def handle_request(self, req: Any, conn: Any) -> Any:
        req._expected_100_continue = False  # was answered, or the body is there without it
        is_kept = super().handle_request(req, conn)
        if isinstance(conn, Connection):
            conn.sock.flush()
        return is_kept

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        problem = self._refusals.problem_of(exc)
        if problem.code == "server_error":
            self.log.error("A request failed outside of Django", exc_info=exc)
        else:
            self.log.warning(
                "Refused a request from %s: %s", self._refusals.peer(addr), problem.code
            )
        with suppress(OSError):
            client.send(self._refusals.answer(problem))

    def murder_pending(self) -> None:
        """Called by gunicorn at least once a second: end what has taken too long."""
        super().murder_pending()
        now = monotonic()
        if self.alive and now < self._next_look:
            return
        self._next_look = now + CHECK_INTERVAL_SECONDS
        for connection in [
            each for each in self._reading if each.incoming.deadline < now or self._is_unused(each)
        ]:
            self._give_up(connection)
        for connection in [each for each in self._lingering if each.lingers_until < now]:
            self._end_lingering(connection)

    def _is_unused(self, connection: Connection) -> bool:
        return not self.alive and not connection.incoming.data

    def _begin(self, connection: Connection, data: bytes = b"") -> None:
        """Read the next request of a connection; `data` of it has come in."""
        connection.sock.answer_deadline = connection.sock.receive_deadline = None
        connection.incoming = self._incoming(self.cfg.keepalive)
        self._reading[connection] = None
        if data:
            self._take(connection, data)
        else:
            self._read(connection)

    def _read(self, connection: Connection, sock: object = None) -> None:
        try:
            data = connection.sock.receive()
        except BlockingIOError:
            self._poll(connection, self._read)
        except OSError:
            self._drop(connection)
        else:
            self._take(connection, data)

    def _take(self, connection: Connection, data: bytes) -> None:
        incoming = connection.incoming
        if not data:  # the client sends no more; a body that was cut short is told so
            return self._hand_over(connection) if incoming.has_head else self._drop(connection)
        self._waiting_bytes += len(data)
        if problem := self._add(incoming, data):
            return self._refuse(connection, problem)
        if incoming.is_whole:
            return self._hand_over(connection)
        if incoming.wants_continue:
            incoming.wants_continue = False
            with suppress(OSError):
                connection.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._poll(connection, self._read)
        return self._keep_bound()

    def _add(self, incoming: "Incoming", data: bytes) -> "Problem | None":
        """Take in what came; return why the request must be refused, if it must."""
        try:
            incoming.add(data)
        except self._problem as problem:
            return problem
        except (
            Exception
        ) as error:  # no client's bytes may end the process, whatever we have overlooked
            self.log.error("The beginning of a request could not be read", exc_info=error)
            return self._refusals.problem_of(error)
        return None

    def _keep_bound(self) -> None:
        """Refuse the largest of the requests that wait for their rest when they have become too
        much for the memory.
        """
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._refuse(
                max(self._reading, key=lambda each: len(each.incoming.data)), self._overloaded()
            )

    def _make_room(self) -> None:
        """Close the connection that has been without a whole request for longest, when there is no
        room for another.
        """
        if self.nr_conns < self.worker_connections:
            return
        if self.keepalived_conns:
            idle = self.keepalived_conns.popleft()
            self.poller.unregister(idle.sock)
            self.nr_conns -= 1
            idle.close()
        elif self._reading:
            self._drop(next(iter(self._reading)))

    def _hand_over(self, connection: Connection) -> None:
        """Have a thread do the request."""
        data = self._stop_reading(connection)
        connection.parser.unreader.unread(data)
        self.enqueue_req(connection)

    def _give_up(self, connection: Connection) -> None:
        if connection.incoming.data:
            self._refuse(connection, self._too_slow())
        else:
            self._drop(connection)

    def _refuse(self, connection: Connection, problem: "Problem") -> None:
        self.log.warning(
            "Refused a request from %s: %s", self._refusals.peer(connection.client), problem.code
        )
        self._stop_reading(connection)
        self.nr_conns -= 1
        with suppress(OSError):
            connection.sock.send(self._refusals.answer(problem))
        self.linger(connection)

    def _drop(self, connection: Connection) -> None:
        self._stop_reading(connection)
        self.nr_conns -= 1
        connection.close()

    def _stop_reading(self, connection: Connection) -> bytes:
        """Forget the connection, and return what came in over it."""
        data = bytes(connection.incoming.data)
        connection.incoming.data.clear()
        self._waiting_bytes -= len(data)
        self._reading.pop(connection, None)
        self._unpoll(connection)
        return data

    def linger(self, connection: Connection) -> None:
        """Close a connection as RFC 9112 (9.6) says: a client that is still sending must be able to
        read its answer.
        """
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return connection.close()
        self.nr_conns += 1
        connection.lingers_until = monotonic() + LINGER_SECONDS
        self._lingering.add(connection)
        return self._discard(connection)

    def _discard(self, connection: Connection, sock: object = None) -> None:
        try:
            data = connection.sock.receive()
        except BlockingIOError:
            return self._poll(connection, self._discard)
        except OSError:
            data = b""
        connection.lingered_bytes += len(data)
        if not data or connection.lingered_bytes > MAX_LINGER_BYTES:
            return self._end_lingering(connection)
        return self._poll(connection, self._discard)

    def _end_lingering(self, connection: Connection) -> None:
        self._lingering.discard(connection)
        self._unpoll(connection)
        self.nr_conns -= 1
        connection.close()

    def _poll(self, connection: Connection, callback: Callable[..., None]) -> None:
        if not connection.is_polled:
            connection.is_polled = True
            self.poller.register(connection.sock, EVENT_READ, partial(callback, connection))

    def _unpoll(self, connection: Connection) -> None:
        if connection.is_polled:
            connection.is_polled = False
            self.poller.unregister(connection.sock)
