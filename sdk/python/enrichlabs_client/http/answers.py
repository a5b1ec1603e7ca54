"""Turns refusals of the service (RFC 9457) into errors."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from enrichlabs_client.errors import EnrichLabsError, FieldError, UnexpectedAnswer, class_for

MAX_TEXT = 2000


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
    except ValueError:
        return None
    return max(0.0, (date.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def shown(text: str) -> str:
    """Return the text without what could control a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:MAX_TEXT])


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
