"""What keeps a queued job from being called."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jobs.queue.clock import redis_clock
from vendors.models import Vendor


class Kind(StrEnum):
    DELAY = "delay"  # its not_before: as its options say, or before its next attempt
    PAUSE = "pause"
    WORKER = "worker"  # no live worker serves its vendor
    BREAKER = "breaker"  # which is open, or lets few calls through after an outage
    LIMIT = "limit"
    QUOTA = "quota"
    IN_FLIGHT = "in_flight"
    CREDENTIAL = "credential"


@dataclass(frozen=True)
class Hold:
    """`name`: of the limit, key or credential; '' if it is the vendor's own, or has none. `until`:
    by Redis' clock; None if it is not known.
    """

    kind: Kind
    name: str = ""
    until: datetime | None = None

    @property
    def message(self) -> str:
        """A sentence for people."""
        return f"Held {self._reason}{_until(self.until)}."

    @property
    def _reason(self) -> str:
        limit = f"the limit {self.name}" if self.name else ""
        return {
            Kind.DELAY: "by its delay",
            Kind.PAUSE: "by a pause of the vendor",
            Kind.WORKER: "because no live worker serves the vendor",
            Kind.BREAKER: "by the vendor's breaker" if self.until else RECOVERING,
            Kind.LIMIT: f"by {limit or 'the rate limits of the vendor'}",
            Kind.QUOTA: f"by the quota of {limit}",
            Kind.IN_FLIGHT: f"by max_in_flight of {limit or 'the vendor'}",
            Kind.CREDENTIAL: f"by a pause of the key {self.name}" if self.name else NO_KEY,
        }[self.kind]

    def has_ended(self, now: datetime) -> bool:
        return self.until is not None and self.until <= now


RECOVERING = "by the vendor's breaker, which lets few calls through after an outage"
BY_PEOPLE = (Kind.PAUSE, Kind.CREDENTIAL)  # without an end: it lasts until somebody ends it
NO_KEY = "because no key of the vendor's credential can be used"


@dataclass(frozen=True)
class Standing:
    """What Redis says of a vendor that concerns all of its jobs.

    `spent`: while no key of its credential permits a call, the quotas that are spent, for each key
    that may be used.
    """

    is_served: bool  # by a live worker
    hold: Hold | None = None
    spent: tuple[tuple[Hold, ...], ...] = ()

    def hold_at(self, now: datetime, vendor: Vendor) -> Hold | None:
        """Return what holds the vendor's jobs. Of several holds, the one that ends last; before all
        others, one that somebody has to end.
        """
        of_pause = Kind.CREDENTIAL if vendor.is_for_keys else Kind.PAUSE
        if vendor.paused:
            return Hold(of_pause)
        if not self.is_served:
            return Hold(Kind.WORKER)
        pause = Hold(of_pause, until=vendor.paused_until) if vendor.is_paused(now) else None
        holds = [hold for hold in (pause, self.hold) if hold and not hold.has_ended(now)]
        return max(holds, key=lambda hold: hold.until or now, default=None)


def hold_of_job(not_before: datetime | None, of_vendor: Hold | None, now: datetime) -> Hold | None:
    """Return what holds a queued job, given what holds all jobs of its vendor; None if it waits for
    its turn.
    """
    if not_before is None or not_before <= now:
        return of_vendor
    if of_vendor and of_vendor.kind in BY_PEOPLE and of_vendor.until is None:
        return of_vendor
    ends_later = of_vendor and of_vendor.until and of_vendor.until > not_before
    return of_vendor if ends_later else Hold(Kind.DELAY, until=not_before)


def _until(until: datetime | None) -> str:
    """Return the whole second at which a hold has ended, with its day unless that is today."""
    if until is None:
        return ""
    end = datetime.fromtimestamp(math.ceil(until.timestamp()), until.tzinfo)
    is_today = end.date() == redis_clock.now().date()
    return f" until {end:{'%H:%M:%S' if is_today else '%Y-%m-%d %H:%M:%S'}} UTC"
