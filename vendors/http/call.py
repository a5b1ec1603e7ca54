"""The only outbound call, with one total deadline and a size limit.

It follows no redirects, uses no proxy but the vendor's own, and does not retry.
"""

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from urllib3 import BaseHTTPResponse

from vendors.base import Reply, VendorError
from vendors.http import exchanges, failures, statuses
from vendors.http.connections import refused_by_proxy
from vendors.http.deadline import this_call
from vendors.http.transport import this_thread
from vendors.outbound import DIRECT, Outbound
from vendors.payloads import exact

CHUNK_BYTES = 64 * 1024
# Reading a body that no result needs saves the next call a new connection; it may take this long.
MAX_DRAIN_SECONDS = 0.5


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    timeout_seconds: float,
    fresh_connection: bool = False,
    needs_body: bool = True,
    outbound: Outbound = DIRECT,
) -> Reply:
    """Return the vendor's answer, whatever its status. Raises VendorError if there is none.

    An answer that is cut off, too long or not valid HTTP is none; the error's `reply` has what
    arrived. The arguments mean what they do for `post_json`.

    headers: name the Content-Type of the body among them.
    body: nothing is sent if it is empty.
    """
    return _call(
        method.upper(),
        url,
        headers,
        body,
        timeout_seconds=timeout_seconds,
        fresh_connection=fresh_connection,
        outbound=outbound,
        receive=_receive_any if needs_body else _receive_status,
    )


def post_json(
    url: str,
    payload: Mapping[str, Any],
    *,
    headers: Mapping[str, str],
    timeout_seconds: float,
    fresh_connection: bool = False,
    needs_body: bool = True,
    outbound: Outbound = DIRECT,
) -> Reply:
    """Post `payload` and return the vendor's 2xx answer. Raises VendorError for anything else.

    timeout_seconds: for the whole call, from resolving the name to the last byte. Only resolving
        can't be cut short.
    fresh_connection: don't reuse a connection. A kept one may have been closed unnoticed, which
        leaves it unknown whether the vendor received the call.
    needs_body: False if the status says it all. The body of the Reply is then empty.
    outbound: through which proxy and with which certificates: the vendor's `outbound`.
    """
    return _call(
        "POST",
        url,
        {**headers, "Content-Type": "application/json"},
        exact.write(payload).encode(),
        timeout_seconds=timeout_seconds,
        fresh_connection=fresh_connection,
        outbound=outbound,
        receive=_receive_result if needs_body else _receive_acceptance,
    )


def error_of(reply: Reply) -> VendorError:
    """Return the error that the status of an answer other than 2xx means, for `post_json`."""
    error = statuses.error_of(reply.status, reply.headers, datetime.now(UTC))
    error.reply = reply
    return error


def _call(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    timeout_seconds: float,
    fresh_connection: bool,
    outbound: Outbound,
    receive: Callable[[BaseHTTPResponse, bytearray], Reply],
) -> Reply:
    """`receive` gets the bytearray that collects the body, also of a call that fails half-way."""
    headers = _complete(headers)
    exchanges.note_request(method, url, headers, body)
    this_call.begin(timeout_seconds, fresh_connection=fresh_connection)
    response, received = None, bytearray()
    try:
        with closing(
            this_thread.transport.start(
                method, url, body, headers, timeout_seconds=timeout_seconds, outbound=outbound
            )
        ) as response:
            if response.status == 407 and outbound.proxy_url:
                raise refused_by_proxy(407)
            return receive(response, received)
    except failures.EXCEPTIONS as error:
        failure = failures.error_of(error, sent=this_call.sent, timeout_seconds=timeout_seconds)
        failure.reply = _reply(response, received) if response else None
        raise failure from error
    finally:
        if response:
            exchanges.note_reply(response.status, response.headers, received)


def _complete(headers: Mapping[str, str]) -> dict[str, str]:
    own = {"User-Agent": f"EnrichLabs/{settings.VERSION}", "Accept": "*/*"}
    return {**own, **headers, "Accept-Encoding": "identity"}


def _receive_any(response: BaseHTTPResponse, received: bytearray) -> Reply:
    _read_body(response, received)
    return _reply(response, received)


def _receive_status(response: BaseHTTPResponse, received: bytearray) -> Reply:
    _drain(response, received)
    return Reply(response.status, response.headers, b"")


def _receive_result(response: BaseHTTPResponse, received: bytearray) -> Reply:
    if not 200 <= response.status <= 299:
        raise _refusal(response, received)
    return _receive_any(response, received)


def _receive_acceptance(response: BaseHTTPResponse, received: bytearray) -> Reply:
    if not 200 <= response.status <= 299:
        raise _refusal(response, received)
    return _receive_status(response, received)


def _refusal(response: BaseHTTPResponse, received: bytearray) -> VendorError:
    _drain(response, received)
    return error_of(_reply(response, received))


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
