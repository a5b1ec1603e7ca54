"""Quotas with periods of seconds instead of days or months, so that a test sees them end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from vendors.limits import quotas


def shorten(
    period_seconds: float,
    boundary_seconds: float,
    *,
    since: float = 0.0,
    put: Callable[[object, str, object], None] = setattr,
) -> None:
    """Let all periods of this process be that long, one of them beginning at `since` in Unix time.
    `put`: for example pytest's `monkeypatch.setattr`.
    """

    def begins(quota: quotas.Quota, now: datetime) -> list[datetime]:
        current = (now.timestamp() - since) // period_seconds
        return [
            datetime.fromtimestamp(since + (current + shift) * period_seconds, UTC)
            for shift in range(-3, 4)
        ]

    put(quotas, "BOUNDARY", timedelta(seconds=boundary_seconds))
    put(quotas.Quota, "_begins", begins)
