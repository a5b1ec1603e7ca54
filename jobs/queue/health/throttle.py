"""How long to leave a vendor alone that throttles us without saying for how long.

A streak of such answers begins with the first one and ends with any other answer. The pause is as
long as the streak has lasted, so that each one doubles: 1 s, 2, 4, up to 15 min. It depends on
times alone: fifty answers at once mean no longer a pause than one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from vendors import pauses
from vendors.models import Vendor

UNIT_SECONDS = 1.0
MAX_UNITS = 900


def pause_seconds(since: datetime, now: datetime, unit_seconds: float) -> float:
    """Return how long to pause at `now` in a streak that began at `since`."""
    lasted_seconds = (now - since).total_seconds()
    return min(max(lasted_seconds, unit_seconds), MAX_UNITS * unit_seconds)


@dataclass(frozen=True)
class Throttle:
    """A streak of throttled answers, by Redis' clock."""

    since: datetime
    now: datetime
    is_new: bool  # an answer just reported demands a pause; False: the vendor is paused already

    @property
    def pause_seconds(self) -> float:
        return pause_seconds(self.since, self.now, UNIT_SECONDS)

    @property
    def until(self) -> datetime:
        return self.now + timedelta(seconds=self.pause_seconds)


def since_in_row(vendor: Vendor, now: datetime) -> datetime | None:
    """Return when the streak began that the vendor was last paused for, for when Redis has lost it;
    None if it was not, or long ago.
    """
    if vendor.pause_reason != pauses.THROTTLED or vendor.paused_by or not vendor.paused_until:
        return None
    forgotten_at = vendor.paused_until + timedelta(seconds=MAX_UNITS * UNIT_SECONDS)
    return vendor.paused_at if now < forgotten_at else None
