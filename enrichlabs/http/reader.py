"""Reads the requests of all connections in the main thread, and gives each to a thread when it is
complete (docs/decisions/0015-request-deadlines.md).
"""

from concurrent.futures import Future
from contextlib import suppress
from time import monotonic

from gunicorn.workers.gthread import ThreadWorker

from enrichlabs.http import head_check, refusals
from enrichlabs.http.connection import Connection
from enrichlabs.http.incoming import Incoming
from jobs import tallies
from jobs.api.problems import Problem, overloaded

MAX_WAITING_BYTES = 64 * 1024 * 1024  # of incomplete requests, per process


class RequestReader:
    """The connections from which a request is being read."""

    def __init__(self, worker: ThreadWorker) -> None:
        self._worker = worker
        self._connections: dict[Connection, None] = {}  # in the order in which they began
        self._waiting_bytes = 0

    def begin(self, connection: Connection, data: bytes = b"") -> None:
        """Read the connection's next request, of which `data` has arrived."""
        connection.sock.begin_request()
        connection.incoming = Incoming(self._worker.cfg.keepalive)
        self._connections[connection] = None
        if data:
            self._add(connection, data)
        else:
            self._read(connection)

    def refuse_expired(self, now: float) -> None:
        """Refuse requests whose deadline has passed. Close connections without a request when
        theirs has, or when the worker stops.
        """
        for connection in list(self._connections):
            is_empty = not connection.incoming.data
            if is_empty and (connection.incoming.deadline < now or not self._worker.alive):
                self._drop(connection)
            elif connection.incoming.deadline < now:
                self._refuse(connection, Problem(*refusals.TOO_SLOW))

    def drop_oldest(self) -> None:
        """Close the connection whose request began first, if there is one."""
        if self._connections:
            self._drop(next(iter(self._connections)))

    def _read(self, connection: Connection, sock: object = None) -> None:
        try:
            data = connection.sock.receive()
        except BlockingIOError:
            connection.watch(self._worker.poller, self._read)
        except OSError:
            self._drop(connection)
        else:
            self._add(connection, data)

    def _add(self, connection: Connection, data: bytes) -> None:
        incoming = connection.incoming
        if not data:
            # The client sends no more. If a body was cut short, the parser says so.
            return self._hand_over(connection) if incoming.has_head else self._drop(connection)
        self._waiting_bytes += len(data)
        problem = self._problem_with(incoming, data)
        if incoming.must_be_checked:
            return self._check(connection, problem)
        if problem:
            return self._refuse(connection, problem)
        if incoming.is_complete:
            return self._hand_over(connection)
        return self._read_on(connection)

    def _check(self, connection: Connection, problem: Problem | None) -> None:
        """Have a thread check who sends a request, of which nothing more is read until then. If it
        is somebody, `problem` is why the request is refused.
        """
        incoming = connection.incoming
        incoming.is_checked = True
        connection.unwatch(self._worker.poller)
        check = self._worker.tpool.submit(
            head_check.refusal_of, incoming.head, connection, incoming.limits, monotonic()
        )
        check.add_done_callback(
            lambda done: self._worker.method_queue.defer(self._checked, connection, problem, done)
        )
        self._limit_memory()

    def _checked(
        self, connection: Connection, problem: Problem | None, check: "Future[Problem | None]"
    ) -> None:
        if connection not in self._connections:
            return  # its time was up, or it was closed to make room
        if refusal := check.result() or problem:
            self._refuse(connection, refusal)
        else:
            self._read_on(connection)

    def _read_on(self, connection: Connection) -> None:
        """Wait for more of the request."""
        if connection.incoming.wants_continue:
            connection.incoming.wants_continue = False
            with suppress(OSError):
                connection.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.watch(self._worker.poller, self._read)
        self._limit_memory()

    def _problem_with(self, incoming: Incoming, data: bytes) -> Problem | None:
        """Add data to a request; return why the request must be refused, if it must."""
        try:
            incoming.add(data)
        except Problem as problem:
            return problem
        except Exception as error:  # a bug of ours must not let a client end the process
            self._worker.log.error("Failed to read the start of a request", exc_info=error)
            return refusals.problem_of(error)
        return None

    def _limit_memory(self) -> None:
        """Refuse the largest incomplete request when all together take too much memory."""
        if self._waiting_bytes > MAX_WAITING_BYTES:
            tallies.count("overloaded")
            largest = max(self._connections, key=lambda each: len(each.incoming.data))
            self._refuse(largest, overloaded())

    def _hand_over(self, connection: Connection) -> None:
        """Have a thread answer the request."""
        if not connection.incoming.reads_body:
            connection.sock.stop_receiving()
        data = self._stop_reading(connection)
        connection.parser.unreader.add(data)
        self._worker.enqueue_req(connection)

    def _refuse(self, connection: Connection, problem: Problem) -> None:
        self._stop_reading(connection)
        self._worker.nr_conns -= 1
        refusals.refuse(self._worker.log, connection.sock, connection.client, problem)
        connection.close(graceful=True)

    def _drop(self, connection: Connection) -> None:
        self._stop_reading(connection)
        self._worker.nr_conns -= 1
        connection.close()

    def _stop_reading(self, connection: Connection) -> bytes:
        """Forget the connection, and return what has arrived on it."""
        data = bytes(connection.incoming.data)
        connection.incoming.data.clear()
        self._waiting_bytes -= len(data)
        self._connections.pop(connection, None)
        connection.unwatch(self._worker.poller)
        return data
