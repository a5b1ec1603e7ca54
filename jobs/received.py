"""A callback as it comes in: the JSON in it, cleaned, and a key that its repeats share."""

import hashlib
import json
import math
from datetime import datetime
from typing import Any

from jobs.models import Delivery, Verdict
from jobs.tokens import Try
from vendors.cleaning import clean
from vendors.models import Vendor

MOST_LEVELS = 100


def received(vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime) -> Delivery:
    """Return the callback, not stored yet. One that is no JSON object has its verdict already."""
    payload = _parsed(body)
    run, attempt = tried or (None, None)
    return Delivery(
        key=_key(vendor.slug, job_id, run, attempt, webhook_id or hashlib.sha256(body).hexdigest()),
        vendor=vendor.slug,
        job=job_id,
        run=run,
        attempt=attempt,
        body=clean(payload, vendor.redacted_fields),
        body_bytes=len(body),
        verdict="" if isinstance(payload, dict) else Verdict.REFUSED,
        received_at=now,
    )


def _parsed(body: bytes) -> Any:
    """Return the JSON value, or None where there is none that could be cleaned and kept."""
    try:
        payload = json.loads(body.decode("utf-8-sig"), parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError):
        return None
    return payload if _is_shallow(payload, MOST_LEVELS) else None


def _number(text: str) -> float:
    """Return the number; raises ValueError for one that JSON can't spell: NaN, or too large to be finite."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _is_shallow(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in inner)


def _key(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
