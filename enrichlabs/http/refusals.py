"""What a request is answered that never reaches Django, because it is no HTTP, is too large or does
not come in.

Neither an answer nor the log repeats what the client sent: it may hold a callback's token, an API
key or a name.
"""

from http import HTTPStatus
from typing import Any

from gunicorn.http import errors

from enrichlabs.http.incoming import head_too_large
from jobs.api.problems import Problem

BAD_REQUEST_LINE = (
    "bad_request_line",
    400,
    "The request line is malformed: send METHOD PATH HTTP/1.1, in printable ASCII.",
)
BAD_HEADER = ("bad_header", 400, "A header of the request is malformed, or appears twice.")
BAD_CHUNK = ("bad_chunk", 400, "The chunked body is malformed.")
TOO_LONG = (
    "address_too_long",
    414,
    "The address is too long: with its query it may have 4,000 characters.",
)
NO_SUCH_CODING = (
    "unsupported_transfer_coding",
    501,
    "Send the body with a Content-Length, or chunked.",
)
NO_SUCH_EXPECTATION = (
    "expectation_failed",
    417,
    "The only expectation that is met is 100-continue.",
)

PROBLEMS: dict[type[Exception], tuple[str, int, str]] = {
    errors.LimitRequestLine: TOO_LONG,
    errors.InvalidRequestLine: BAD_REQUEST_LINE,
    errors.InvalidRequestMethod: BAD_REQUEST_LINE,
    errors.InvalidHTTPVersion: BAD_REQUEST_LINE,
    errors.InvalidHeader: BAD_HEADER,
    errors.InvalidHeaderName: BAD_HEADER,
    errors.ObsoleteFolding: BAD_HEADER,
    errors.InvalidSchemeHeaders: BAD_HEADER,
    errors.UnsupportedTransferCoding: NO_SUCH_CODING,
    errors.ExpectationFailed: NO_SUCH_EXPECTATION,
    errors.InvalidChunkSize: BAD_CHUNK,
    errors.InvalidChunkExtension: BAD_CHUNK,
    errors.ChunkMissingTerminator: BAD_CHUNK,
}


def problem_of(error: BaseException) -> Problem:
    """Return the problem that an error of gunicorn's parser stands for; any other error is ours."""
    if isinstance(error, errors.LimitRequestHeaders):
        return head_too_large()
    for kind, problem in PROBLEMS.items():
        if isinstance(error, kind):
            return Problem(*problem)
    if isinstance(error, errors.ParseException):
        return Problem("bad_request", 400, "The request is malformed.")
    return Problem(
        "server_error", 500, "Something went wrong here, and was logged. Try again later."
    )


def answer(problem: Problem) -> bytes:
    """Return the whole answer, after which the connection is closed."""
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


def peer(address: Any) -> str:
    """Return the client's address for the log."""
    return str(address[0]) if isinstance(address, tuple) else "a Unix socket"
