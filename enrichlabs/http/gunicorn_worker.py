"""gunicorn's threaded worker, but a thread gets a request only when it is complete
(docs/decisions/0015-request-deadlines.md).

The main thread reads, for all connections, so threads never wait for clients. Clients that send
slowly, or nothing, occupy no thread, and are refused when their time is up. The exception are
uploads, which a few threads read as they come (docs/decisions/0026-streamed-uploads.md).
"""

import errno
from concurrent.futures import Future
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import ThreadWorker

from enrichlabs.http.connection import Connection
from enrichlabs.http.linger import LingeringClose

if TYPE_CHECKING:
    from enrichlabs.http.reader import RequestReader

CHECK_INTERVAL_SECONDS = 0.5


class HTTPWorker(ThreadWorker):
    """gunicorn calls all methods but the last, in this order."""

    _reader: "RequestReader"

    def run(self) -> None:
        """Serve until the worker is stopped."""
        # Imported only now: the master loads no application code, so that SIGHUP loads new code.
        from enrichlabs.http import refusals
        from enrichlabs.http.reader import RequestReader
        from jobs import stopping
        from jobs.api.access import slots

        slots.share(self.cfg.threads)
        self._refusals = refusals
        self._stopping = stopping
        self._reader = RequestReader(self)
        self._closing = LingeringClose(self)
        self._next_check = 0.0
        super().run()

    def accept(self, listener: Any) -> None:
        """Accept a connection, and begin to read its first request."""
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
        server, linger = listener.getsockname(), self._closing.close
        self._reader.begin(Connection(self.cfg, accepted, client, server, linger=linger))

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Begin to read the next request of a kept-alive connection."""
        if not isinstance(conn, Connection):
            super().on_client_socket_readable(conn, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._reader.begin(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request, in a thread; return whether the connection can be kept."""
        req._expected_100_continue = False  # it was answered, or the body came without it
        if isinstance(conn, Connection):
            conn.sock.force_close = req.force_close
            if conn.sock.has_stopped_receiving:
                req.force_close()
        is_kept = super().handle_request(req, conn)
        if isinstance(conn, Connection):
            conn.sock.flush()
        return is_kept

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that can't be parsed, or that failed outside Django, in a thread."""
        problem = self._refusals.problem_of(exc)
        error = exc if problem.code == "server_error" else None
        self._refusals.refuse(self.log, client, addr, problem, error=error)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Keep or close a connection whose request was answered."""
        is_ours = isinstance(conn, Connection)
        is_kept = is_ours and not fs.cancelled() and fs.exception() is None and fs.result()
        # What arrived behind the request is the next one, or its beginning.
        if is_kept and (data := conn.parser.unreader.take_buffered()):
            self._reader.begin(conn, data)
        else:
            super().finish_request(conn, fs)
        # If threads had every connection, none could be closed for a new client until now.
        self._make_room()

    def murder_pending(self) -> None:
        """End connections whose time is up. gunicorn calls this at least once a second."""
        super().murder_pending()
        now = monotonic()
        if self.alive and now < self._next_check:
            return
        self._next_check = now + CHECK_INTERVAL_SECONDS
        self._reader.refuse_expired(now)
        self._closing.close_expired(now)

    def _cap_keepalive(self, deadline: float) -> None:
        """End what keeps requests for long. gunicorn calls this when it begins to stop."""
        self._stopping.begin()
        super()._cap_keepalive(deadline)

    def _make_room(self) -> None:
        """If there is no room for another connection, close the one that has been idle, or has been
        sending a request, for longest.
        """
        if self.nr_conns < self.worker_connections:
            return
        if self.keepalived_conns:
            idle = self.keepalived_conns.popleft()
            self.poller.unregister(idle.sock)
            self.nr_conns -= 1
            idle.close()
        else:
            self._reader.drop_oldest()
