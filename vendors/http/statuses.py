"""Which VendorError an HTTP status other than 2xx means. Pure: the caller passes the time."""

from collections.abc import Mapping
from datetime import datetime

from vendors.base import VendorError
from vendors.http import waits


def error_of(status: int, headers: Mapping[str, str], now: datetime) -> VendorError:
    """Return the VendorError for a response. `headers` must ignore the case of names."""
    if status == 429 or (status in (403, 503) and waits.retry_after(headers, now)):
        wait = waits.wait_of(headers, now)
        retrying = f"; retrying in {wait.total_seconds():g} s" if wait else ""
        sentence = f"The vendor is rate limiting us (status {status}){retrying}."
        return VendorError("rate_limited", sentence, retry_after=wait)
    if status in (408, 425) or 500 <= status <= 599:
        sentence = f"The vendor answered with an error (status {status})."
        return VendorError("vendor_error", sentence, outage=True)
    if status == 402:
        sentence = "The vendor requires payment (status 402). Its account may be out of credit."
        wait = waits.retry_after(headers, now, longest=waits.MAX_CREDITS_WAIT)
        return VendorError("no_credits", sentence, retry_after=wait)
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
