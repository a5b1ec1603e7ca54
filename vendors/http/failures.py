"""Which VendorError an exception of the HTTP libraries means."""

import re
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3

from vendors.base import VendorError
from vendors.http.addresses import RefusedAddressError
from vendors.http.outbound import OutboundError
from vendors.http.response import BadResponseError

EXCEPTIONS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
# OpenSSL's codes for a certificate whose authority is not trusted.
UNKNOWN_ISSUER = (18, 19, 20, 21)
CA_HINT = (
    "; to trust a certificate authority of your own, name its file in the vendor's ca_file, "
    "or in VENDOR_CA_FILE for all vendors"
)
# OpenSSL's names of the alerts by which a server refuses a client, mostly for its certificate.
REFUSED_CLIENT = re.compile(
    r"ALERT_(HANDSHAKE|CERTIFICATE|BAD_CERT|UNSUPPORTED_CERT|UNKNOWN_CA|ACCESS_DENIED)"
)
CLIENT_CERT_HINT = (
    "; if the vendor requires a client certificate, name the file of the right one in the vendor's "
    "client_cert_file"
)
# Why connecting failed; the first match counts. Never the library's own text: it repeats the URL.
REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (RefusedAddressError, "{0}"),
    (OutboundError, "{0}"),
    (ssl.SSLCertVerificationError, "its TLS certificate is not trusted ({0.verify_message})"),
    (ssl.SSLError, "the TLS handshake failed"),
    (socket.gaierror, "its host name can't be resolved"),
    (ConnectionRefusedError, "it refused the connection"),
    (TimeoutError, "connecting timed out"),
    (ValueError, "its URL or a request header is not valid"),
)


def error_of(error: Exception, *, sent: bool, timeout_seconds: float) -> VendorError:
    """Return the VendorError for one of EXCEPTIONS.

    `sent`: the vendor may have seen a part of the request, so it may have done the work.
    """
    causes = list(_causes(error))
    if not sent or any(map(_is_before_the_call, causes)):
        sentence = f"The vendor could not be reached: {_reason(causes)}."
        return VendorError("vendor_unreachable", sentence, outage=True, sent=sent)
    for cause in causes:
        if isinstance(cause, BadResponseError):
            return bad_reply(f"The vendor's answer is not valid HTTP: {cause}.")
    if any(isinstance(cause, urllib3.exceptions.DecodeError) for cause in causes):
        return bad_reply("The vendor's answer has a content encoding that can't be decoded.")
    if any(isinstance(cause, TimeoutError) for cause in causes):
        sentence = (
            f"The vendor did not answer in full within {timeout_seconds:g} s. "
            "It may have done the work."
        )
        return VendorError("timeout", sentence, outage=True, outcome_known=False)
    sentence = (
        "The connection was lost before the answer was complete. The vendor may have done the work."
    )
    return VendorError("connection_lost", sentence, outage=True, outcome_known=False)


def bad_reply(sentence: str) -> VendorError:
    return VendorError("bad_reply", sentence, outcome_known=False)


def _reason(causes: list[BaseException]) -> str:
    for cause in causes:
        for kind, reason in REASONS:
            if isinstance(cause, kind):
                return reason.format(cause) + _hint(cause)
    return f"the connection failed ({type(causes[-1]).__name__})"


def _hint(cause: BaseException) -> str:
    if getattr(cause, "verify_code", None) in UNKNOWN_ISSUER:
        return CA_HINT
    return CLIENT_CERT_HINT if _refuses_client(cause) else ""


def _is_before_the_call(cause: BaseException) -> bool:
    """Whether the call went no further, even if the request has been sent."""
    return isinstance(cause, OutboundError) or _refuses_client(cause)


def _refuses_client(cause: BaseException) -> bool:
    """Whether the vendor ended the TLS handshake. In TLS 1.3 we may learn of it after we have sent
    the request, which the vendor then does not read.
    """
    return isinstance(cause, ssl.SSLError) and bool(REFUSED_CLIENT.search(cause.reason or ""))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause:
        yield cause
        # urllib3 keeps an error of TLS as an argument only.
        kept = cause.args[:1] if isinstance(cause, urllib3.exceptions.SSLError) else ()
        yield from (error for error in kept if isinstance(error, ssl.SSLError))
        cause = cause.__cause__ or cause.__context__
