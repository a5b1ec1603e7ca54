"""Which VendorError an HTTP status other than 2xx means. Pure: the caller passes the time."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from vendors.base import VendorError

MIN_WAIT = timedelta(seconds=1)
MAX_WAIT = timedelta(hours=1)
SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def error_of(status: int, headers: Mapping[str, str], now: datetime) -> VendorError:
    """Return the VendorError for a response. `headers` must ignore the case of names."""
    wait = retry_after(headers.get("Retry-After"), headers.get("Date"), now)
    if status == 429 or (status in (403, 503) and wait):
        retrying = f"; retrying in {wait.total_seconds():g} s" if wait else ""
        sentence = f"The vendor is rate limiting us (status {status}){retrying}."
        return VendorError("rate_limited", sentence, retry_after=wait)
    if status in (408, 425) or 500 <= status <= 599:
        sentence = f"The vendor answered with an error (status {status})."
        return VendorError("vendor_error", sentence, outage=True)
    if status == 402:
        sentence = "The vendor requires payment (status 402). Its account may be out of credit."
        return VendorError("no_credits", sentence)
    if status in (401, 403):
        sentence = f"The vendor denied access (status {status}). Check its API key and quota."
        return VendorError("auth", sentence)
    if 300 <= status <= 499:
        sentence = f"The vendor refused this job (status {status})."
        if status < 400:
            sentence = f"The vendor answered with a redirect (status {status}). Correct its URL."
        return VendorError("invalid_input", sentence, permanent=True)
    sentence = f"The vendor answered with the unknown status {status}."
    return VendorError("bad_reply", sentence, outcome_known=False)


def retry_after(value: str | None, date: str | None, now: datetime) -> timedelta | None:
    """Return how long a Retry-After header asks to wait, between MIN_WAIT and MAX_WAIT.

    None if it is missing or not valid. A date is compared with the response's own Date header,
    because the vendor's clock may be wrong.
    """
    value = (value or "").strip()
    if SECONDS.fullmatch(value):
        # Capped before the conversion: a timedelta can't hold a number of a thousand digits.
        return max(timedelta(seconds=min(float(value), MAX_WAIT.total_seconds())), MIN_WAIT)
    until = _http_date(value)
    if until is None:
        return None
    return max(min(until - (_http_date(date or "") or now), MAX_WAIT), MIN_WAIT)


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
