"""The only outbound call: a POST of JSON with one total deadline and a size limit.

It follows no redirects, uses no proxies and does not retry.
"""

from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from urllib3 import BaseHTTPResponse

from vendors.base import Reply, VendorError
from vendors.http import exchanges, failures, statuses
from vendors.http.deadline import this_call
from vendors.http.transport import this_thread
from vendors.payloads import exact

CHUNK_BYTES = 64 * 1024
# Reading a body that no result needs saves the next call a new connection; it may take this long.
MAX_DRAIN_SECONDS = 0.5


def post_json(
    url: str,
    payload: Mapping[str, Any],
    *,
    headers: Mapping[str, str],
    timeout_seconds: float,
    fresh_connection: bool = False,
    needs_body: bool = True,
) -> Reply:
    """Post `payload` and return the vendor's 2xx answer. Raises VendorError for anything else.

    timeout_seconds: for the whole call, from resolving the name to the last byte. Only resolving
        can't be cut short.
    fresh_connection: don't reuse a connection. A kept one may have been closed unnoticed, which
        leaves it unknown whether the vendor received the call.
    needs_body: False if the status says it all. The body of the Reply is then empty.
    """
    body = exact.write(payload).encode()
    this_call.begin(timeout_seconds, fresh_connection=fresh_connection)
    response, received = None, bytearray()
    try:
        with closing(_send(url, body, headers, timeout_seconds)) as response:
            return _receive(response, received, needs_body)
    except failures.EXCEPTIONS as error:
        failure = failures.error_of(error, sent=this_call.sent, timeout_seconds=timeout_seconds)
        failure.reply = _reply(response, received) if response else None
        raise failure from error
    finally:
        if response:
            exchanges.note_reply(response.status, response.headers, received)


def _send(
    url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
) -> BaseHTTPResponse:
    headers = {
        "User-Agent": f"EnrichLabs/{settings.VERSION}",
        "Accept": "*/*",
        **headers,
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
    }
    exchanges.note_request(url, headers, body)
    return this_thread.transport.post(url, body, headers, timeout_seconds)


def _receive(response: BaseHTTPResponse, received: bytearray, needs_body: bool) -> Reply:
    """Return the Reply. `received` collects the body, also of a call that fails half-way."""
    is_success, now = 200 <= response.status <= 299, datetime.now(UTC)
    if is_success and needs_body:
        _read_body(response, received)
        return _reply(response, received)
    _drain(response, received)
    if is_success:
        return Reply(response.status, response.headers, b"")
    error = statuses.error_of(response.status, response.headers, now)
    error.reply = _reply(response, received)
    raise error


def _read_body(response: BaseHTTPResponse, received: bytearray) -> None:
    limit = settings.VENDOR_REPLY_MAX_BYTES
    while chunk := response.read1(CHUNK_BYTES, decode_content=True):
        received += chunk
        if len(received) > limit:  # the rest stays unread, so the connection is closed
            sentence = (
                f"The vendor's answer (status {response.status}) is longer than {limit} bytes."
            )
            error = failures.bad_reply(sentence)
            error.reply = _reply(response, received)
            raise error


def _drain(response: BaseHTTPResponse, received: bytearray) -> None:
    this_call.end_within(MAX_DRAIN_SECONDS)
    with suppress(VendorError, *failures.EXCEPTIONS):
        _read_body(response, received)


def _reply(response: BaseHTTPResponse, received: bytearray) -> Reply:
    return Reply(response.status, response.headers, bytes(received))
