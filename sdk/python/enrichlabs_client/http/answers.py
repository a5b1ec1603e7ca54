"""Turns refusals of the service (RFC 9457) into errors."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from enrichlabs_client.errors import EnrichLabsError, FieldError, UnexpectedAnswer, class_for

MAX_TEXT = 2000
MAX_PAUSE_SECONDS = 999_999_999.0  # what comes next can still add to it


def error_of(status: int, headers: Mapping[str, str], body: bytes, url: str) -> EnrichLabsError:
    """Return the error that the server at this URL tells of."""
    if status < 400:
        target = shown(headers.get("Location", "another address"))
        return UnexpectedAnswer(
            f"The service redirects to {target}. The API key is not sent there: set the URL to "
            "the final address if you trust it."
        )
    problem = _problem(body)
    code, detail = problem.get("code"), problem.get("detail")
    if not isinstance(code, str) or not isinstance(detail, str):
        code = f"http_{status}"
        detail = f"The server at {url} answered {status}, but not as EnrichLabs does. " + (
            "Check ENRICHLABS_URL." if status < 500 else "EnrichLabs behind it may be away."
        )
    errors = problem.get("errors")
    return class_for(status)(
        status,
        shown(code),
        shown(detail),
        [_field_error(each) for each in errors if isinstance(each, dict)]
        if isinstance(errors, list)
        else [],
        retry_after(headers),
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the answer asks to wait, whether it names them or a date."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        date = parsedate_to_datetime(value)
        # A zone of -0000 is UTC too (RFC 5322), though it comes without one.
        date = date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # such as a year after 9999, here or in UTC only
        return None
    return min(MAX_PAUSE_SECONDS, max(0.0, (date - datetime.now(UTC)).total_seconds()))


def shown(text: str) -> str:
    """Return the text without what could control a terminal."""
    return printable(text[:MAX_TEXT])


def printable(text: str, kept: str = "") -> str:
    """Return the whole text without what could control a terminal, but with what is `kept`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else "\N{REPLACEMENT CHARACTER}" for c in text)


def _problem(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _field_error(raw: Mapping[str, Any]) -> FieldError:
    def text(name: str) -> str | None:
        value = raw.get(name)
        return shown(value) if isinstance(value, str) else None

    return FieldError(text("code") or "", text("detail") or "", text("pointer"), text("parameter"))
