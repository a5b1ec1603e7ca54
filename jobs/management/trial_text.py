"""Formats a trial call for the terminal: each request and response, then the outcome, with secrets
masked.
"""

import json
import re
from collections.abc import Iterator, Mapping

from jobs.worker import trial
from jobs.worker.trial import Trial
from vendors.base import Accepted, Done
from vendors.http.exchanges import Exchange
from vendors.models import Vendor
from vendors.payloads.cleaning import clean
from vendors.payloads.json_reader import VENDOR_JSON

MAX_BODY_LENGTH = 4096  # characters
MASK = "***"
SECRET_HEADERS = re.compile(r"auth|key|token|secret|cookie|signature", re.IGNORECASE)
SHOWN_HEADERS = ("Idempotency-Key",)  # would match, but is no secret
SECRET_PARAMETERS = re.compile(
    r"(?i)([?&][^=&]*(?:key|token|secret|password|signature)[^=&]*=)[^&\s\"#]*"
)
UNMATCHED = "The vendor's callback will belong to no job, and is stored as unmatched."


def masked_lines(vendor: Vendor, made: Trial) -> Iterator[str]:
    """Yield the lines to print. The vendor's secrets and the callback token are masked wherever
    they appear, and so are headers and URL parameters with names of secrets.
    """
    token = made.call.callback_url.rpartition("token=")[2]
    secrets = [*vendor.secrets, *filter(None, [token])]
    for line in _lines(vendor, made):
        yield _masked(line, secrets)


def _lines(vendor: Vendor, made: Trial) -> Iterator[str]:
    for exchange in made.exchanges:
        yield from _section("Request", _request(exchange))
        yield from _section("Response", _response(exchange, vendor.redacted_fields))
    yield from _section(f"Outcome after {made.seconds:.2f} s", _outcome(made))


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)]


def _request(exchange: Exchange) -> list[str]:
    body = _body(exchange.body, frozenset())
    return [f"{exchange.method} {exchange.url}", *_headers(exchange.headers), body]


def _response(exchange: Exchange, redacted: frozenset[str]) -> list[str]:
    if exchange.status is None:
        return ["none"]
    body = _body(exchange.reply_body, redacted)
    return [
        f"status {exchange.status}",
        *_headers(exchange.reply_headers),
        *([body] if body else []),
    ]


def _headers(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {MASK if _is_secret(name) else value}" for name, value in headers.items()]


def _is_secret(header: str) -> bool:
    return header not in SHOWN_HEADERS and bool(SECRET_HEADERS.search(header))


def _body(body: bytes, redacted: frozenset[str]) -> str:
    """Return the body as JSON without the redacted fields, or as text if it is not JSON."""
    try:
        text = json.dumps(clean(VENDOR_JSON.read_object(body), redacted), ensure_ascii=False)
    except ValueError:
        text = body.decode("utf-8", "replace")
    if len(text) <= MAX_BODY_LENGTH:
        return text
    return f"{text[:MAX_BODY_LENGTH]}... (truncated; {len(text)} characters in total)"


def _outcome(made: Trial) -> list[str]:
    match made.answer:
        case Done(result):
            text = json.dumps(result, ensure_ascii=False, default=str)
            return ["done", text[:MAX_BODY_LENGTH]]
        case Accepted():
            return ["accepted", UNMATCHED]
    return [*trial.outcome(made.answer)]


def _masked(line: str, secrets: list[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, MASK).replace(json.dumps(secret)[1:-1], MASK)
    return SECRET_PARAMETERS.sub(rf"\1{MASK}", line)
