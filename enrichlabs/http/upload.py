"""The body of a request that its view reads as it comes (docs/decisions/0026-streamed-uploads.md).

The thread of the view waits for the client, so the view must limit how many do.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from select import POLLIN, poll
from threading import Lock
from time import monotonic
from typing import Any
from wsgiref.types import WSGIEnvironment

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import ChunkMissingTerminator, NoMoreData, ParseException

from enrichlabs.http import refusals
from enrichlabs.http.connection import ClientSocket
from jobs import stopping
from jobs.api.input.bodies import TooLarge
from jobs.api.problems import OVERLOAD_RETRY_SECONDS, Problem

IDLE_TIMEOUT_SECONDS = 10.0  # for the next bytes
TOTAL_TIMEOUT_SECONDS = 600.0  # for the whole body
CHECK_INTERVAL_SECONDS = 0.5  # how soon a thread that waits for bytes notices that it must stop
# Only one body is decoded at a time. Several would be no quicker, and other threads would wait for
# the interpreter behind each of them.
_decoding = Lock()
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Upload:
    """A body, of which `read` returns what has arrived."""

    def __init__(self, environ: WSGIEnvironment, max_bytes: int) -> None:
        self.is_finished = False  # whether all of it was read
        self._environ = environ
        self._max_bytes = max_bytes
        self._read_bytes = 0
        self._body: Any = environ["wsgi.input"]  # gunicorn's
        self._pieces: Iterator[bytes] | None = None  # None until the first is asked for
        self._rest = memoryview(b"")  # of the last piece
        self._error: Exception | None = None
        self._turn: AbstractContextManager[Any] = nullcontext()  # while it is decoded
        self._ends_at = monotonic() + TOTAL_TIMEOUT_SECONDS

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes as soon as there are any; none at the end.

        Raises Problem if the body is malformed, too large or too slow, or if the process stops, and
        OSError if the client disconnects before the end.
        """
        if size < 1:
            raise ValueError("Read it in parts: all of it would not fit into memory.")
        while not self._rest and not self.is_finished:
            self._rest = memoryview(self._next_piece())
        part, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return part

    def readline(self, size: int = -1) -> bytes:
        raise NotImplementedError("Read parts, and split them: a line may be longer than memory.")

    def close(self) -> None:
        """Read no more. If the body is not finished, the connection can't be kept."""
        client = self._environ.get("gunicorn.socket")
        if isinstance(client, ClientSocket):
            client.wait_for_more = None
            if not self.is_finished:
                client.stop_receiving()
                client.force_close()
        self._body.failed = not self.is_finished  # then gunicorn does not read the rest

    def _next_piece(self) -> bytes:
        if self._error:
            raise self._error
        try:
            self._pieces = self._pieces or self._begin()
            with self._turn:
                piece = next(self._pieces, None)
            self._read_bytes += len(piece or b"")
            if self._read_bytes > self._max_bytes:
                raise TooLarge(self._max_bytes)
        except Exception as error:
            self._error = _meaning(error)
            raise self._error from None
        self.is_finished = piece is None
        return piece or b""

    def _begin(self) -> Iterator[bytes]:
        client: Any = self._environ.get("gunicorn.socket")
        if int(self._environ.get("CONTENT_LENGTH") or 0) > self._max_bytes:
            raise TooLarge(self._max_bytes)
        if isinstance(client, ClientSocket):  # not if gunicorn itself ends TLS
            client.wait_for_more, self._turn = lambda: self._wait(client), _decoding
        is_expected = self._environ.get("HTTP_EXPECT", "").lower() == "100-continue"
        if is_expected and self._environ["SERVER_PROTOCOL"] == "HTTP/1.1":
            with suppress(OSError):
                client.send(CONTINUE)
        return _pieces(self._body.reader)

    def _wait(self, client: ClientSocket) -> None:
        """Wait until something has arrived."""
        poller = poll()
        poller.register(client, POLLIN)
        gives_up_at = min(monotonic() + IDLE_TIMEOUT_SECONDS, self._ends_at)
        while True:
            if stopping.is_stopping():
                raise _stopping()
            left = gives_up_at - monotonic()
            if left <= 0:
                raise Problem(*refusals.TOO_SLOW)
            _decoding.release()
            try:
                has_arrived = poller.poll(1000 * min(left, CHECK_INTERVAL_SECONDS))
            finally:
                _decoding.acquire()
            if has_arrived:
                return


def _stopping() -> Problem:
    detail = "The service is stopping, and did not process all of this request. Send it again."
    headers = {"Retry-After": str(OVERLOAD_RETRY_SECONDS)}
    return Problem("overloaded", 503, detail, headers=headers)


def _meaning(error: Exception) -> Exception:
    """Return what an error of gunicorn's readers means to the view."""
    if isinstance(error, ChunkMissingTerminator) and len(error.term) < 2:
        return ConnectionResetError("The body ended early")
    return refusals.problem_of(error) if isinstance(error, ParseException) else error


def _pieces(reader: Any) -> Iterator[bytes]:
    """Yield what gunicorn's reader of a body would return, but as it arrives."""
    if isinstance(reader, ChunkedReader):
        yield from reader.parser
        return
    while reader.length:
        piece = reader.unreader.read(None, read_ahead=reader.length)
        if not piece:
            raise NoMoreData
        if surplus := piece[reader.length :]:
            reader.unreader.unread(surplus)
            piece = piece[: reader.length]
        reader.length -= len(piece)
        yield piece
