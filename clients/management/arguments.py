"""What people write on the command line: how long, until when, and which key."""

import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta

UNITS = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
MAX_DURATION = timedelta(days=36500)


def duration(text: str) -> timedelta:
    """Return the time that, for example, 30min, 24h, 90d or 8w is; 0 needs no unit."""
    match = re.fullmatch(r"([0-9]{1,9})(min|h|d|w)", "0h" if text == "0" else text)
    if not match:
        raise ArgumentTypeError(
            f"{text!r} is not a duration in min, h, d or w, such as 30min, 24h, 90d or 8w"
        )
    number, unit = int(match[1]), UNITS[match[2]]
    if number > MAX_DURATION // unit:
        raise ArgumentTypeError("the longest duration is 36500d")
    return number * unit


def time(text: str) -> datetime:
    """Return an ISO 8601 time with its time zone. A date means the beginning of that day in UTC."""
    try:
        found = datetime.fromisoformat(text)
        found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(
            f"{text!r} is not an ISO 8601 time, such as 2027-01-31T12:00Z"
        ) from None
    if re.fullmatch(r"[0-9-]{8,10}", text):
        return found.replace(tzinfo=UTC)
    if found.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} has no time zone: write for example {text}Z for UTC")
    return found
