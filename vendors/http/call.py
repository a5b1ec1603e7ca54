"""The one outbound call: a POST of JSON, with one total deadline, a byte cap, no redirects, no
proxies and no retries.
"""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

import requests
import urllib3
from django.conf import settings
from urllib3 import BaseHTTPResponse

from vendors.base import Reply, VendorError
from vendors.http import exchanges, statuses
from vendors.http.addresses import RefusedAddressError
from vendors.http.deadline import Transport, this_call
from vendors.http.response import BadResponseError
from vendors.payloads import exact

CHUNK_BYTES = 64 * 1024
# How long the body of an answer that nobody reads may hold up its thread, to save the next call a
# new connection.
DRAIN_SECONDS = 0.5
FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
UNKNOWN_ISSUER = (
    18,
    19,
    20,
    21,
)  # OpenSSL's codes for a certificate that leads to no authority we know
TRUST_IT = "; to trust a certificate authority of your own, name its file in VENDOR_CA_FILE"
# Why no connection came about; the first that fits.
REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (RefusedAddressError, "{0}"),
    (ssl.SSLCertVerificationError, "its TLS certificate is not trusted ({0.verify_message})"),
    (ssl.SSLError, "the TLS handshake failed"),
    (socket.gaierror, "its host name can't be resolved"),
    (ConnectionRefusedError, "it refuses connections"),
    (TimeoutError, "no connection came about in time"),
    (ValueError, "its URL or one of our headers is not valid"),
)


class _Thread(threading.local):
    def __init__(self) -> None:
        self.transport = Transport()


_thread = _Thread()


def post_json(
    url: str,
    payload: Mapping[str, Any],
    *,
    headers: Mapping[str, str],
    timeout_seconds: float,
    fresh_connection: bool = False,
    needs_body: bool = True,
) -> Reply:
    """Post `payload` and return the vendor's 2xx answer; anything else is raised as VendorError.

    `timeout_seconds` is for everything together, from the look-up of the name (which alone can't be
    cut short) to the last byte. `fresh_connection`: use no kept connection, which may have died
    unseen and leave it unknown whether the vendor got the call. `needs_body` False: the status says
    it all; the body of the Reply is empty.
    """
    body = exact.write(payload).encode()
    this_call.begin(timeout_seconds, fresh_connection=fresh_connection)
    response, read = None, bytearray()
    try:
        with closing(_send(url, body, headers, timeout_seconds)) as response:
            return _reply(response, read, needs_body)
    except FAILURES as error:
        failure = _failure(error, timeout_seconds)
        failure.reply = Reply(response.status, response.headers, bytes(read)) if response else None
        raise failure from error
    finally:
        if response:
            exchanges.note_reply(response.status, response.headers, read)


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
    return _thread.transport.post(url, body, headers, timeout_seconds)


def _reply(response: BaseHTTPResponse, read: bytearray, needs_body: bool) -> Reply:
    status, now = response.status, datetime.now(UTC)
    if 200 <= status <= 299 and needs_body:
        _read_body(response, read)
        return Reply(status, response.headers, bytes(read))
    _drain(response, read)
    if 200 <= status <= 299:
        return Reply(status, response.headers, b"")
    error = statuses.error_of(status, response.headers, now)
    error.reply = Reply(status, response.headers, bytes(read))
    raise error


def _read_body(response: BaseHTTPResponse, read: bytearray) -> None:
    """Add the decoded body to `read`, up to the cap; past it, the unread rest has the connection
    closed with the response.
    """
    while chunk := response.read1(CHUNK_BYTES, decode_content=True):
        read += chunk
        if len(read) > settings.VENDOR_REPLY_MAX_BYTES:
            limit = settings.VENDOR_REPLY_MAX_BYTES
            error = _bad_reply(
                f"The vendor's answer (status {response.status}) is longer than {limit} bytes."
            )
            error.reply = Reply(response.status, response.headers, bytes(read))
            raise error


def _drain(response: BaseHTTPResponse, read: bytearray) -> None:
    """Read a body that no result needs, if that costs little, so that the connection can be used
    again.
    """
    this_call.end_within(DRAIN_SECONDS)
    with suppress(VendorError, *FAILURES):
        _read_body(response, read)


def _bad_reply(sentence: str) -> VendorError:
    return VendorError("bad_reply", sentence, outcome_known=False)


def _failure(error: Exception, timeout_seconds: float) -> VendorError:
    causes = list(_causes(error))
    if not this_call.sent:
        return VendorError(
            "vendor_unreachable",
            f"The vendor could not be reached: {_reason(causes)}.",
            outage=True,
        )
    if bad := next((cause for cause in causes if isinstance(cause, BadResponseError)), None):
        return _bad_reply(f"The vendor's answer is not valid HTTP: {bad}.")
    if any(isinstance(cause, urllib3.exceptions.DecodeError) for cause in causes):
        return _bad_reply("The vendor's answer is compressed in a way that can't be read.")
    if any(isinstance(cause, TimeoutError) for cause in causes):
        sentence = f"The vendor did not answer in full within {timeout_seconds:g} s; it may have done the work."
        return VendorError("vendor_timeout", sentence, outage=True, outcome_known=False)
    sentence = (
        "The connection broke before the vendor's answer was complete; it may have done the work."
    )
    return VendorError("connection_lost", sentence, outage=True, outcome_known=False)


def _reason(causes: list[BaseException]) -> str:
    """Say in words why no connection came about; never the library's own text, which repeats the
    URL.
    """
    for cause in causes:
        for kind, reason in REASONS:
            if isinstance(cause, kind):
                hint = TRUST_IT if getattr(cause, "verify_code", None) in UNKNOWN_ISSUER else ""
                return reason.format(cause) + hint
    return f"the connection failed ({type(causes[-1]).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__
