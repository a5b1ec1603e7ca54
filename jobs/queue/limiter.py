"""A vendor's limits in Redis: exact sliding windows, paced (jobs/queue/lua/limits.lua says how).
Redis' clock is the only one.

The algorithm is the sliding-window log: a start is allowed when, for each window, the start that
many calls ago has left it. A permit is charged by take, and good for PERMIT_SECONDS: calls sent
later than charged would reach the vendor in bunches. It is then given back and a fresh one charged.

A vendor counts arrivals, not starts. Windows are therefore longer than its limits by the vendor's
arrival margin, which covers the permit's life and whatever delays one call more than another on its
way (docs/decisions/0016-arrival-margin.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.redis import commands
from jobs.queue.scripts import script
from vendors.limits import Window
from vendors.models import Vendor

PERMIT_SECONDS = 0.015
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Renewal:
    """A fresh permit, or how long to wait before asking again."""

    granted: bool
    charge: str  # empty without windows, and when it is not granted
    wait_seconds: float


def moment(charge: str) -> datetime:
    """Return the moment that was charged."""
    return EPOCH + int(charge) * MICROSECOND


def microseconds(at: datetime) -> int:
    """Return a moment as it is charged."""
    return (at - EPOCH) // MICROSECOND


def keys_of(vendor: str) -> list[str]:
    """Return the keys that limits.lua wants."""
    keys = Keys(vendor)
    return [
        keys.retries,
        keys.jobs,
        keys.freed,
        keys.log,
        keys.in_flight,
        keys.state,
        keys.pause,
        HEARTBEATS,
    ]


def arguments(windows: Sequence[Window]) -> list[int]:
    """Return the arguments that limits.lua wants."""
    pairs = [
        number for window in windows for number in (window.calls, round(window.seconds * 1_000_000))
    ]
    return [len(windows), *pairs]


def renew(vendor: Vendor, job_id: str, charge: str) -> Renewal:
    """Trade a permit that was not used in time for a fresh one. Raises redis.RedisError."""
    args = [*arguments(vendor.windows), charge, job_id, vendor.max_in_flight or 0]
    granted, fresh, wait_us = script("limits", "renew")(
        keys=keys_of(vendor.slug), args=args, client=commands()
    )
    return Renewal(bool(granted), fresh, int(wait_us) / 1e6)


def is_stale(vendor: Vendor) -> bool:
    """Whether the log can't be trusted and is to be rebuilt first. Raises redis.RedisError."""
    args = arguments(vendor.windows)
    return bool(script("limits", "stale")(keys=keys_of(vendor.slug), args=args, client=commands()))


def hold(vendor: str, seconds: float) -> None:
    """Stop all calls at once for a moment, until every worker has read the pause from the vendor's
    row.
    """
    commands().set(Keys(vendor).pause, "1", px=max(1, int(seconds * 1000)))


def memory(vendor: Vendor) -> tuple[int, float]:
    """Return how many starts of how many seconds the log must hold: what the windows ask for, or it
    was asked for before.
    """
    depth, length_us = commands().hmget(Keys(vendor.slug).state, "depth", "length")
    most = max([int(depth or 0), *(window.calls for window in vendor.windows)])
    return most, max([int(length_us or 0) / 1e6, *(window.seconds for window in vendor.windows)])


def rebuild(
    vendor: str,
    windows: Sequence[Window],
    ended_us: Sequence[int],
    in_flight: Sequence[str],
    *,
    calling_us: Sequence[int] = (),
    token: str = "",
) -> bool:
    """Make log and flight true again. Raises redis.RedisError.

    `ended_us` says when the calls that have ended were started, newest first, `calling_us` when
    those under way were, in microseconds. False: the rebuilder named by `token` has been late, and
    somebody else sees to it.
    """
    args = [
        *arguments(windows),
        token,
        len(ended_us),
        *ended_us,
        len(calling_us),
        *calling_us,
        *in_flight,
    ]
    keys = [*keys_of(vendor), Keys(vendor).rebuilder]
    return bool(script("limits", "rebuild")(keys=keys, args=args, client=commands()))
