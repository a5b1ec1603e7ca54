"""How long a response asks to wait: Retry-After, and the reset headers of vendors. Pure: the caller
passes the time.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MIN_WAIT = timedelta(seconds=1)
MAX_WAIT = timedelta(hours=1)  # when a vendor limits its rate
MAX_CREDITS_WAIT = timedelta(days=32)  # when its credits are used up: until the next month
MAX_LENGTH = 200  # characters of a header's value

NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
MIN_EPOCH_SECONDS, MIN_EPOCH_MS = 1e9, 1e11
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhd]))+")
DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhd])")
UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
RETRY_AFTER = re.compile(r"(?:x-)?(?:ms-)?retry-after(-ms)?")
RESET = re.compile(r"((?:[a-z0-9]+-)*rate-?limit-(?:[a-z0-9]+-)*)reset((?:-[a-z0-9]+)*)")
# The draft of the IETF: "default";r=0;t=30, and before that: limit=100, remaining=0, reset=30
POLICY_REMAINING = re.compile(r"\b(?:r|remaining)=([0-9]+)")
POLICY_RESET = re.compile(r"\b(?:t|reset)=([0-9]+)")


def wait_of(
    headers: Mapping[str, str], now: datetime, *, longest: timedelta = MAX_WAIT
) -> timedelta | None:
    """Return how long the response asks to wait, between MIN_WAIT and `longest`; None if it does
    not.

    That is the longest of what its headers say. The reset of a window counts if nothing remains in
    it, or if there is no header about that. Times are compared with the response's own Date,
    because the vendor's clock may be wrong.
    """
    low = {name.lower(): value for name, value in headers.items()}
    waits = [*_retry_afters(low, now), *_resets(low, now), *_policies(low)]
    return _bounded(waits, longest)


def retry_after(
    headers: Mapping[str, str], now: datetime, *, longest: timedelta = MAX_WAIT
) -> timedelta | None:
    """Return the wait of the Retry-After headers alone; None if there is no valid one."""
    low = {name.lower(): value for name, value in headers.items()}
    return _bounded([*_retry_afters(low, now)], longest)


def _bounded(seconds: list[float], longest: timedelta) -> timedelta | None:
    if not seconds:
        return None
    # Capped before the conversion: a timedelta can't hold a number of a thousand digits.
    return max(timedelta(seconds=min(max(seconds), longest.total_seconds())), MIN_WAIT)


def _retry_afters(headers: Mapping[str, str], now: datetime) -> Iterator[float]:
    for name, value in headers.items():
        if match := RETRY_AFTER.fullmatch(name):
            yield from _seconds(value, headers, now, is_ms=bool(match[1]))


def _resets(headers: Mapping[str, str], now: datetime) -> Iterator[float]:
    for name, value in headers.items():
        match = RESET.fullmatch(name)
        if not match:
            continue
        before, after = match.groups()
        window, is_ms = after.removesuffix("-ms").removesuffix("-after"), after.endswith("-ms")
        remaining = [headers.get(f"{before}{word}{window}") for word in ("remaining", "remain")]
        if not any(value and _remains(value) for value in remaining):
            yield from _seconds(value, headers, now, is_ms=is_ms)


def _policies(headers: Mapping[str, str]) -> Iterator[float]:
    value = headers.get("ratelimit", "")[:MAX_LENGTH]
    for policy in [value] if "reset=" in value else value.split(","):
        remaining, reset = POLICY_REMAINING.search(policy), POLICY_RESET.search(policy)
        if reset and not (remaining and float(remaining[1])):
            yield float(reset[1])


def _remains(value: str) -> bool:
    """Whether the window has calls left. Some vendors list several windows in one header."""
    numbers = [float(number) for number in NUMBER.findall(value[:MAX_LENGTH])]
    return bool(numbers) and min(numbers) > 0


def _seconds(
    value: str, headers: Mapping[str, str], now: datetime, *, is_ms: bool
) -> Iterator[float]:
    """Yield the seconds that a value means: a number of them, a duration or a time. Nonsense: none.

    A number of 1e9 or more is a time: seconds, or milliseconds, since 1970.
    """
    value = value.strip()[:MAX_LENGTH]
    if NUMBER.fullmatch(value):
        number = float(value)
        if is_ms and number < MIN_EPOCH_MS:
            yield number / 1000
        elif number < MIN_EPOCH_SECONDS:
            yield number
        else:
            scale = 1 if number < MIN_EPOCH_MS else 1000
            yield number / scale - _vendors_now(headers, now).timestamp()
    elif DURATION.fullmatch(value):
        yield sum(
            float(number) * UNIT_SECONDS[unit] for number, unit in DURATION_PART.findall(value)
        )
    elif until := _http_date(value) or _iso_date(value):
        yield (until - _vendors_now(headers, now)).total_seconds()


def _vendors_now(headers: Mapping[str, str], now: datetime) -> datetime:
    return _http_date(headers.get("date", "").strip()) or now


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _iso_date(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text) if "T" in text else None
    except ValueError:
        return None
    return date if date is None or date.tzinfo else date.replace(tzinfo=UTC)
