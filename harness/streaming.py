"""Uploads whose body is sent in pieces, as by a program that reads its file meanwhile."""

import select
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

from harness.vendor.server import RESET

TIMEOUT_SECONDS = 30.0
NO_ANSWER = (OSError, HTTPException)


class Cut(Exception):  # noqa: N818 - no error: the client wants it
    """Raised by the pieces of an upload to cut the connection off at once."""


@dataclass(frozen=True)
class Streamed:
    """The answer to an upload."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    pieces_sent: int  # fewer than there were if the answer came before


def post_pieces(
    url: str,
    headers: Mapping[str, str],
    pieces: Iterable[bytes],
    *,
    length: int | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Streamed:
    """POST the pieces, each as soon as it is there: chunked, or with a Content-Length if `length`
    is given. An answer that comes early ends the upload.

    Raises OSError or HTTPException if there is no whole answer, and Cut if a piece raises it.
    """
    parts = urlsplit(url)
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", framing]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    address = (parts.hostname or "", parts.port or 80)
    with socket.create_connection(address, timeout_seconds) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        try:
            sent = _send(connection, pieces, is_chunked=length is None)
        except Cut:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            raise
        response = HTTPResponse(connection, method="POST")
        response.begin()
        return Streamed(response.status, dict(response.headers), response.read(), sent)


def _send(connection: socket.socket, pieces: Iterable[bytes], *, is_chunked: bool) -> int:
    """Send pieces until the server answers; return how many were sent."""
    sent = 0
    # A server that has answered may close: then the answer says why.
    with suppress(BrokenPipeError, ConnectionResetError):
        for piece in pieces:
            if select.select([connection], [], [], 0)[0]:
                return sent
            if piece:
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            sent += 1
        if is_chunked:
            connection.sendall(b"0\r\n\r\n")
    return sent
