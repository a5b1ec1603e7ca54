"""A vendor's rate limits in Redis, timed by Redis' clock (jobs/queue/lua/limits.lua).

The algorithm is the sliding-window log, with starts paced evenly: a call may start when, for each
window, the start `calls` before it has left the window. `take` charges a permit; it is valid for
PERMIT_SECONDS, because calls that are sent later than charged would reach the vendor in bursts. A
late permit is returned and a fresh one charged.

A vendor counts arrivals, not starts. Windows are therefore longer than the vendor's limits by its
arrival margin, which covers the life of a permit and the jitter of the network
(docs/decisions/0016-arrival-margin.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.queue.keys import HEARTBEATS, Keys, key_pause
from jobs.queue.redis import commands, script
from vendors.limits import Window
from vendors.models import Vendor

PERMIT_SECONDS = 0.015
READ_PAUSE_SECONDS = 1.1  # longer than any worker takes to read a pause from the vendor's row
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Renewal:
    """A fresh permit, or how long to wait before asking again."""

    granted: bool
    charge: str  # '' without rate limits, and if not granted
    wait_seconds: float


def moment(charge: str) -> datetime:
    """Return the time of a charge, which is in microseconds since 1970."""
    return EPOCH + int(charge) * MICROSECOND


def microseconds(at: datetime) -> int:
    """Return a time in microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def keys_of(slug: str) -> list[str]:
    """Return KEYS of limits.lua."""
    keys = Keys(slug)
    streams = [keys.retries, keys.jobs, keys.freed]
    return [*streams, keys.log, keys.in_flight, keys.state, keys.pause, HEARTBEATS]


def arguments(windows: Sequence[Window]) -> list[int]:
    """Return the first ARGV of limits.lua."""
    pairs = [
        number for window in windows for number in (window.calls, round(window.seconds * 1_000_000))
    ]
    return [len(windows), *pairs]


def renew(vendor: Vendor, job_id: str, charge: str) -> Renewal:
    """Replace a permit that was not used in time. `job_id`: whose slot it needs; '' for a call that
    needs none, as a poll. Raises redis.RedisError.
    """
    cap = vendor.max_in_flight or 0 if job_id else 0
    args = [*arguments(vendor.windows), charge, job_id, cap]
    granted, fresh, wait_us = script("limits", "renew")(
        keys=keys_of(vendor.slug), args=args, client=commands()
    )
    return Renewal(bool(granted), fresh, int(wait_us) / 1e6)


def is_stale(vendor: Vendor) -> bool:
    """Return whether the log must be rebuilt before it can be trusted. Raises redis.RedisError."""
    args = arguments(vendor.windows)
    return bool(script("limits", "stale")(keys=keys_of(vendor.slug), args=args, client=commands()))


def pause(slug: str, seconds: float) -> None:
    """Stop all calls at once, until every worker has read the pause from the vendor's row."""
    commands().set(Keys(slug).pause, "1", px=max(1, int(seconds * 1000)))


def pause_key(credential: str, key: str, seconds: float) -> None:
    """Use a key of a credential for no calls, until every worker has read its pause."""
    commands().set(key_pause(credential, key), "1", px=max(1, int(seconds * 1000)))


def memory(vendor: Vendor) -> tuple[int, float]:
    """Return how many starts, and of how many seconds, the log must hold: the most that its
    windows need now or needed before.
    """
    depth, length_us = commands().hmget(Keys(vendor.slug).state, "depth", "length")
    calls = max([int(depth or 0), *(window.calls for window in vendor.windows)])
    return calls, max([int(length_us or 0) / 1e6, *(window.seconds for window in vendor.windows)])


def rebuild(
    slug: str,
    windows: Sequence[Window],
    ended_us: Sequence[int],
    in_flight: Sequence[str],
    *,
    calling_us: Sequence[int] = (),
    token: str = "",
) -> bool:
    """Restore the log and the in-flight set. Raises redis.RedisError.

    `ended_us`: when finished calls started, newest first, in microseconds. `calling_us`: the same
    for calls in progress. False: the lock that `token` holds has expired, and another worker is
    rebuilding.
    """
    starts = [len(ended_us), *ended_us, len(calling_us), *calling_us]
    args = [*arguments(windows), token, *starts, *in_flight]
    keys = [*keys_of(slug), Keys(slug).rebuilder]
    return bool(script("limits", "rebuild")(keys=keys, args=args, client=commands()))
