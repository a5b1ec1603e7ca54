"""How people are told what state an API key is in."""

from datetime import datetime, timedelta

from clients.models import ApiKey

SOON = timedelta(days=14)


def describe(key: ApiKey, now: datetime) -> str:
    """Return, for example, 'active until 2026-01-31 12:00 UTC, replaced by elk_AbCd1234'."""
    state = _state(key, now)
    return f"{state}, replaced by elk_{key.replaced_by}" if key.replaced_by else state


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at:
        return f"revoked {moment(key.revoked_at)}"
    if not key.is_valid(now):
        return f"expired {moment(key.expires_at)}"
    if not key.client.enabled:
        return "client disabled"  # without a date, which would look like the end of that
    if key.expires_at is None:
        return "active"
    if expires_soon(key, now):
        return f"active, expires in {_in_words(key.expires_at - now)}"
    return f"active until {moment(key.expires_at)}"


def expires_soon(key: ApiKey, now: datetime) -> bool:
    """Whether a valid key ends soon, and nothing replaces it."""
    ends_soon = key.expires_at is not None and key.expires_at - now < SOON
    return ends_soon and key.is_valid(now) and not key.replaced_by


def moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"


def _in_words(time: timedelta) -> str:
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if count := int(time.total_seconds() // unit):
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"
