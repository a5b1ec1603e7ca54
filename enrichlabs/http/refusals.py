"""Refuses requests that never reach Django: they are not HTTP, too large, or not complete in time.

Neither the response nor the log repeats what the client sent: it may hold a callback's token, an
API key or a name.
"""

import socket
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors

from jobs.api.problems import Problem

ProblemText = tuple[str, int, str]

BAD_REQUEST_LINE: ProblemText = (
    "bad_request_line",
    400,
    "The request line is malformed. Send METHOD PATH HTTP/1.1 in printable ASCII.",
)
BAD_HEADER = (
    "bad_header",
    400,
    "The request's headers are malformed, duplicated or contradictory.",
)
BAD_CHUNK = ("bad_chunk", 400, "The chunked body is malformed.")
NOT_HTTP = (
    "bad_request_line",
    400,
    "This is not HTTP. If it is TLS, connect to the proxy instead.",
)
BAD_LENGTH = ("bad_header", 400, "Content-Length is not a single number of bytes.")
TOO_LONG = ("address_too_long", 414, "The URL is too long. The request line may have 4,094 bytes.")
UNSUPPORTED_CODING = (
    "unsupported_transfer_coding",
    501,
    "This transfer coding is not supported. Send a Content-Length, or a chunked body.",
)
UNSUPPORTED_EXPECTATION = (
    "expectation_failed",
    417,
    "The only supported expectation is 100-continue.",
)
HEAD_TOO_LARGE = ("head_too_large", 431, "The request headers are too large.")
TOO_SLOW = ("request_timeout", 408, "The request was not complete in time. Send it again.")

PROBLEMS: dict[type[Exception], ProblemText] = {
    errors.LimitRequestHeaders: HEAD_TOO_LARGE,
    errors.LimitRequestLine: TOO_LONG,
    errors.InvalidRequestLine: BAD_REQUEST_LINE,
    errors.InvalidRequestMethod: BAD_REQUEST_LINE,
    errors.InvalidHTTPVersion: BAD_REQUEST_LINE,
    errors.InvalidHeader: BAD_HEADER,
    errors.InvalidHeaderName: BAD_HEADER,
    errors.ObsoleteFolding: BAD_HEADER,
    errors.InvalidSchemeHeaders: BAD_HEADER,
    errors.UnsupportedTransferCoding: UNSUPPORTED_CODING,
    errors.ExpectationFailed: UNSUPPORTED_EXPECTATION,
    errors.InvalidChunkSize: BAD_CHUNK,
    errors.InvalidChunkExtension: BAD_CHUNK,
    errors.ChunkMissingTerminator: BAD_CHUNK,
    errors.ParseException: ("bad_request", 400, "The request is malformed."),
}


def problem_of(error: BaseException) -> Problem:
    """Return the problem for an error of gunicorn's parser; any other error is a bug of ours."""
    for kind, problem in PROBLEMS.items():
        if isinstance(error, kind):
            return Problem(*problem)
    return Problem("server_error", 500, "An internal error occurred and was logged. Retry later.")


def refuse(
    log: Any,
    client: socket.socket,
    address: Any,
    problem: Problem,
    *,
    error: BaseException | None = None,
) -> None:
    """Log the refusal, or the error behind it, and send the response. The caller then closes the
    connection.
    """
    if error:
        log.error("A request failed outside of Django", exc_info=error)
    elif not problem.is_logged:
        log.warning("Refused a request from %s: %s", _peer(address), problem.code)
    with suppress(OSError):
        client.send(_response(problem))


def _peer(address: Any) -> str:
    return str(address[0]) if isinstance(address, tuple) else "a Unix socket"


def _response(problem: Problem) -> bytes:
    response = problem.response()
    headers = {
        **dict(response.items()),
        "Content-Length": len(response.content),
        "Connection": "close",
        "Cache-Control": "no-store",
    }
    lines = [
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + response.content
