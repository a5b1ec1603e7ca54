"""How people are told what state an API key is in."""

from datetime import datetime, timedelta

from clients.models import ApiKey

SOON = timedelta(days=14)


def describe(key: ApiKey, now: datetime) -> str:
    """Return, for example, 'active', 'expires in 3 days' or 'revoked 2026-01-31 12:00 UTC'."""
    if key.revoked_at:
        return f"revoked {moment(key.revoked_at)}"
    if not key.is_valid(now):
        return f"expired {moment(key.expires_at)}"
    state = "active" if key.client.enabled else "client disabled"
    if key.replaced_by:
        return f"{state} until {moment(key.expires_at)}, replaced by elk_{key.replaced_by}"
    if key.expires_at is None:
        return state
    if key.expires_at - now < SOON:
        return f"{state}, expires in {_in_words(key.expires_at - now)}"
    return f"{state} until {moment(key.expires_at)}"


def moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"


def _in_words(time: timedelta) -> str:
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if count := int(time.total_seconds() // unit):
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"
