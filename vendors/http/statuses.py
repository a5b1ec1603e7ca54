"""What an HTTP status means where nothing else says so. Pure: the caller passes the time."""

from collections.abc import Mapping
from datetime import datetime

from vendors.base import Outcome, VendorError
from vendors.http import waits

BY_STATUS = {
    **dict.fromkeys((401, 403), Outcome.AUTH),
    402: Outcome.NO_CREDITS,
    429: Outcome.RATE_LIMITED,
    **dict.fromkeys((408, 425), Outcome.VENDOR_ERROR),
}
BY_CLASS = {2: Outcome.FOUND, 3: Outcome.INVALID_INPUT, 4: Outcome.INVALID_INPUT}


def outcome_of(status: int, *, has_retry_after: bool) -> Outcome:
    if has_retry_after and status in (403, 503):
        return Outcome.RATE_LIMITED
    return BY_STATUS.get(status, BY_CLASS.get(status // 100, Outcome.VENDOR_ERROR))


def error_of(status: int, headers: Mapping[str, str], now: datetime) -> VendorError:
    """Return the VendorError for a response other than 2xx. `headers` must ignore the case of
    names.
    """
    outcome = outcome_of(status, has_retry_after=waits.retry_after(headers, now) is not None)
    match outcome:
        case Outcome.RATE_LIMITED:
            wait = waits.wait_of(headers, now)
            retrying = f"; retrying in {wait.total_seconds():g} s" if wait else ""
            sentence = f"The vendor is rate limiting us (status {status}){retrying}."
            return VendorError(outcome, sentence, retry_after=wait)
        case Outcome.VENDOR_ERROR if 400 <= status <= 599:
            sentence = f"The vendor answered with an error (status {status})."
            return VendorError(outcome, sentence, outage=True)
        case Outcome.NO_CREDITS:
            sentence = "The vendor requires payment (status 402). Its account may be out of credit."
            wait = waits.retry_after(headers, now, longest=waits.MAX_CREDITS_WAIT)
            return VendorError(outcome, sentence, retry_after=wait)
        case Outcome.AUTH:
            sentence = f"The vendor denied access (status {status}). Check its API key and quota."
            return VendorError(outcome, sentence)
        case Outcome.INVALID_INPUT:
            sentence = f"The vendor refused this job (status {status})."
            if status < 400:
                sentence = (
                    f"The vendor answered with a redirect (status {status}). Correct its URL."
                )
            return VendorError(outcome, sentence, permanent=True)
    sentence = f"The vendor answered with the unknown status {status}."
    return VendorError("bad_reply", sentence, outcome_known=False)
