"""What the HTTP status of a vendor's answer means for the call, other than success. Pure: the time
is given.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from vendors.base import VendorError

MIN_WAIT = timedelta(seconds=1)
MAX_WAIT = timedelta(hours=1)
SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def error_of(status: int, headers: Mapping[str, str], now: datetime) -> VendorError:
    """Return what an answer with this status is to be raised as. `headers` are looked up by their
    usual spelling.
    """
    wait = retry_after(headers.get("Retry-After"), headers.get("Date"), now)
    if status == 429 or (status in (403, 503) and wait):
        return _throttled(status, wait or MIN_WAIT)
    if status in (408, 425) or 500 <= status <= 599:
        return VendorError(
            "vendor_error", f"The vendor failed to answer the call (status {status}).", outage=True
        )
    if status == 402:
        return VendorError(
            "payment_required",
            "The vendor asks for payment (status 402); its account may be out of credit.",
        )
    if status in (401, 403):
        return VendorError(
            "vendor_denied",
            f"The vendor denied access (status {status}); its API key may be wrong or spent.",
        )
    if 300 <= status <= 499:
        return VendorError("vendor_refused", _refusal(status), permanent=True)
    return VendorError(
        "bad_reply",
        f"The vendor answered with status {status}, which ends no call.",
        outcome_known=False,
    )


def retry_after(value: str | None, date: str | None, now: datetime) -> timedelta | None:
    """Return how long a Retry-After header asks to wait, between 1 second and 1 hour; None where it
    says nothing usable.

    A date is compared with the answer's own Date header, for the vendor's clock need not be right.
    """
    value = (value or "").strip()
    if SECONDS.fullmatch(value):
        # The longest wait first: a number of a thousand digits is no timedelta.
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


def _throttled(status: int, wait: timedelta) -> VendorError:
    sentence = f"The vendor asks to be left alone for {wait.total_seconds():g} s (status {status})."
    return VendorError("vendor_throttled", sentence, retry_after=wait)


def _refusal(status: int) -> str:
    if status < 400:
        return f"The vendor answered with a redirect (status {status}), which is not followed; correct the vendor's URL."
    return f"The vendor refused this job (status {status})."
