"""A vendor's limits in Redis: exact sliding windows, paced (jobs/lua/limits.lua says how). Redis' clock is the only one.

The algorithm is the sliding-window log: a start is allowed when, for each window, the start that many calls ago has left
it. A permit is charged by take, and good for PERMIT_SECONDS: starts that came later than charged would reach the vendor in
bunches. It is then given back and a fresh one charged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.keys import BEATS, Keys
from jobs.redis import commands
from jobs.scripts import script
from vendors.limits import Window

PERMIT_SECONDS = 0.05


@dataclass(frozen=True)
class Renewal:
    """A fresh charge, or how long to wait before asking again."""

    charge: str
    wait_seconds: float


def keys_of(vendor: str) -> list[str]:
    """Return the keys that limits.lua wants."""
    keys = Keys(vendor)
    return [keys.again, keys.jobs, keys.freed, keys.log, keys.flight, keys.gate, keys.hold, BEATS]


def arguments(windows: Sequence[Window]) -> list[int]:
    """Return the arguments that limits.lua wants."""
    pairs = [number for window in windows for number in (window.calls, window.seconds * 1_000_000)]
    return [len(windows), *pairs]


def renew(vendor: str, windows: Sequence[Window], charge: str) -> Renewal:
    """Trade a permit that was not used in time for a fresh one. Raises redis.RedisError."""
    fresh, wait_us = script("limits", "renew")(keys=keys_of(vendor), args=[*arguments(windows), charge], client=commands())
    return Renewal(fresh, int(wait_us) / 1e6)


def hold(vendor: str, seconds: float) -> None:
    """Stop all calls at once for a moment, until every worker has read the pause from the vendor's row."""
    commands().set(Keys(vendor).hold, "1", px=max(1, int(seconds * 1000)))


def rebuild(
    vendor: str, windows: Sequence[Window], starts_us: Sequence[int], in_flight: Sequence[str], client: Any = None
) -> None:
    """Make log and flight true again: `starts_us` newest first, in microseconds. Raises redis.RedisError."""
    args = [*arguments(windows), len(starts_us), *starts_us, *in_flight]
    script("limits", "rebuild")(keys=keys_of(vendor), args=args, client=client or commands())
