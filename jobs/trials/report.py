"""What a call by hand came to, as JSON shows it. Secrets are masked wherever they appear."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from jobs.worker import trial
from jobs.worker.trial import Trial
from vendors import replies
from vendors.base import Accepted, Done
from vendors.definitions.faults import path_of
from vendors.http.exchanges import Exchange
from vendors.models import Vendor
from vendors.payloads import masking
from vendors.payloads.cleaning import clean
from vendors.payloads.json_reader import VENDOR_JSON
from vendors.payloads.masking import MASK

MAX_BODY_LENGTH = 4096  # characters
MAX_REMOVED = 50
SECRET_HEADERS = re.compile(r"auth|key|token|secret|cookie|signature", re.IGNORECASE)
SHOWN_HEADERS = ("Idempotency-Key",)  # would match, but is no secret
SECRET_PARAMETERS = re.compile(
    r"(?i)((?:^|[?&])[^=&\s]*(?:key|token|secret|password|signature)[^=&\s]*=)[^&\s\"#]*"
)


def report(vendor: Vendor, made: Trial) -> dict[str, Any]:
    """Return all of it: the vendor's secrets and the callback token are masked, and so are headers
    and parameters with names of secrets.
    """
    token = made.call.callback_url.rpartition("token=")[2]
    hide = _Mask([*vendor.secrets, token, made.call.access.token])
    answer = made.answer
    outcome, message = trial.outcome(answer)
    exchanges = [_exchange(exchange, vendor.redacted_fields, hide) for exchange in made.exchanges]
    return {
        "vendor": vendor.slug,
        "kind": str(made.kind),
        "outcome": outcome,
        "message": hide(message),
        "result": hide(answer.result) if isinstance(answer, Done) else None,
        "cost": answer.cost,
        "confidence": answer.confidence if isinstance(answer, Done) else None,
        "reference": hide(answer.reference) if isinstance(answer, Accepted) else "",
        "poll_after_seconds": _poll_after_seconds(vendor, made),
        "seconds": round(made.seconds, 3),
        "exchanges": exchanges,
    }


class _Mask:
    """Masks secrets in a JSON value, and makes its texts fit for a terminal."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._spellings = {
            spelling for secret in secrets if secret for spelling in masking.spellings(secret)
        }

    def __call__(self, value: Any) -> Any:
        return masking.with_texts(value, self._text)

    def _text(self, text: str) -> str:
        # What a terminal would obey, or show otherwise than it is, is left out.
        text = masking.masked(replies.shown(text), self._spellings)
        return SECRET_PARAMETERS.sub(rf"\1{MASK}", text)


def _poll_after_seconds(vendor: Vendor, made: Trial) -> float | None:
    """Return when a job with this answer would be polled next; None if it would not."""
    if not isinstance(made.answer, Accepted) or vendor.polling is None:
        return None
    is_first = not made.call.reference
    return vendor.polling.wait(made.answer.retry_after, is_first=is_first).total_seconds()


def _exchange(exchange: Exchange, redacted: frozenset[str], hide: _Mask) -> dict[str, Any]:
    return {
        "method": exchange.method,
        "url": hide(exchange.url),
        "request_headers": hide(_headers(exchange.headers)),
        "request_body": hide(_body(exchange.body, frozenset())),
        "status": exchange.status,
        "response_headers": hide(_headers(exchange.reply_headers)),
        "response_body": hide(_body(exchange.reply_body, redacted)),
        "outcome": exchange.outcome,
        "rule": exchange.rule,
        "removed": removed(exchange.reply_body, redacted),
    }


def removed(body: bytes, redacted: frozenset[str]) -> list[str]:
    """Return the paths of what cleaning removes from an answer; [] if it is not JSON."""
    try:
        value = VENDOR_JSON.read(body)
    except ValueError:
        return []
    found = _missing(clean(value, frozenset()), clean(value, redacted), "")
    return list(islice(found, MAX_REMOVED))


def _missing(before: Any, after: Any, path: str) -> Iterator[str]:
    """Yield the paths of what is no longer there, or of a text that has lost something."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            where = path_of(path, name)
            yield from _missing(value, after[name], where) if name in after else [where]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _missing(*pair, f"{path}[{index}]")
    elif before != after:
        yield path or "body"


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: MASK if _is_secret(name) else value for name, value in headers.items()}


def _is_secret(header: str) -> bool:
    return header not in SHOWN_HEADERS and bool(SECRET_HEADERS.search(header))


def _body(body: bytes, redacted: frozenset[str]) -> str:
    """Return the body as JSON without the redacted fields, or as text if it is not JSON."""
    try:
        text = json.dumps(clean(VENDOR_JSON.read(body), redacted), ensure_ascii=False)
    except ValueError:
        text = body.decode("utf-8", "replace")
    if len(text) <= MAX_BODY_LENGTH:
        return text
    return f"{text[:MAX_BODY_LENGTH]}... (truncated; {len(text)} characters in total)"
