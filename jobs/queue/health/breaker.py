"""A vendor's circuit breaker, shared by all workers (jobs/queue/lua/report.lua).

It opens after several failures in a row, then lets one probe through at a time. Once a probe
succeeds, the number of concurrent calls grows again from one. The same happens when the vendor
throttles us and does not say for how long, from the first such answer on; the pause until the probe
is then in the vendor's row (jobs/queue/health/throttle.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby

from jobs.queue.clock import redis_clock
from jobs.queue.health import throttle
from jobs.queue.health.throttle import Throttle
from jobs.queue.keys import Keys
from jobs.queue.limiter import READ_PAUSE_SECONDS, microseconds, moment
from jobs.queue.redis import commands, script
from vendors.base import Accepted, Done, VendorError
from vendors.models import Vendor

DENIED_JOBS = 3


@dataclass(frozen=True)
class Standing:
    """A vendor's health after a call."""

    open_seconds: float = 0.0  # until the next probe; 0: the breaker is closed
    # How many different jobs in a row it has denied with the same key, at most DENIED_JOBS.
    denied_jobs: int = 0
    # The breaker is open, or was when the call started; also True while Redis does not answer.
    in_outage: bool = False
    throttle: Throttle | None = None  # while it throttles us and does not say for how long

    @property
    def is_open(self) -> bool:
        return self.open_seconds > 0


@dataclass(frozen=True)
class OpenBreaker:
    """An open breaker, for people."""

    since: datetime | None
    code: str  # of the last error
    is_throttled: bool  # the vendor is not down: it throttles us, and does not say for how long
    next_probe: datetime  # while a probe is running: when it is given up
    is_probing: bool


@dataclass(frozen=True)
class Report:
    """What one call says about the vendor's health."""

    signal: str  # good, bad, denied, throttled or none, as `signal_of` returns it
    probe: str
    job_id: str
    started_us: int = 0  # by Redis' clock
    failures: int = 0  # of the job, counted before this call
    code: str = ""  # of the error, if the call failed
    key: str = ""  # of the vendor's credential, that the call was made with


def signal_of(answer: Done | Accepted | VendorError | None) -> str:
    """Return what an answer says about the vendor's health. None: no call was made."""
    match answer:
        case Done() | Accepted():
            return "good"
        case VendorError(code="rate_limited") as error:
            return "none" if error.retry_after else "throttled"
        case VendorError(outage=True):
            return "bad"
        case VendorError(code="auth" | "api_key_missing"):
            return "denied"
        case VendorError(code="invalid_input" | "blocked" | "bad_reply" | "no_credits"):
            return "good"
        case _:
            return "none"


def threshold(vendor: Vendor) -> int:
    """Return how many failures in a row open the breaker.

    Never more than a job's max_attempts: the failure that opens the breaker is not counted, so a
    job that is alone in its queue survives an outage of any length.
    """
    return 5 if vendor.max_attempts == 1 else min(5, vendor.max_attempts)


def report(vendor: Vendor, reports: Sequence[Report]) -> list[Standing]:
    """Report calls to the breaker; return a standing for each. Raises redis.RedisError."""
    keys = Keys(vendor.slug)
    groups = [list(group) for _, group in groupby(reports, key=_group_key)]
    rows = []
    for group in groups:
        last = group[-1]
        about_job = (last.job_id, last.started_us, last.failures)
        rows.append((last.signal, last.probe, *about_job, len(group), last.key))
    code = next((item.code for item in reversed(reports) if item.signal == "bad"), "")
    terms = _terms(vendor) if any(row[0] == "throttled" for row in rows) else ""
    args = [threshold(vendor), code, terms, *chain.from_iterable(rows)]
    open_us, streak, *each = script("report")(
        keys=[keys.state, keys.freed], args=args, client=commands()
    )
    open_seconds, throttled = int(open_us) / 1e6, _throttle(streak) if streak else None
    standings = [
        Standing(open_seconds, number // 2, open_seconds > 0 or number % 2 == 1, throttled)
        for number in each
    ]
    return [standing for standing, of in zip(standings, groups, strict=True) for _ in of]


def _terms(vendor: Vendor) -> str:
    """Return the terms of throttling for report.lua."""
    since = throttle.since_in_row(vendor, redis_clock.now())
    pauses_us = (int(throttle.UNIT_SECONDS * 1e6), int(READ_PAUSE_SECONDS * 1e6))
    return " ".join(map(str, (*pauses_us, microseconds(since) if since else 0)))


def _throttle(streak: str) -> Throttle:
    since_us, now_us, must_pause = streak.split()
    return Throttle(moment(since_us), moment(now_us), is_new=must_pause == "1")


def _group_key(item: Report) -> int | str:
    """Group consecutive good answers with a key: the breaker only needs their number."""
    return item.key if item.signal == "good" and not item.probe else id(item)


def close(slug: str) -> bool:
    """Close a vendor's open breaker. Returns False if it is closed. Raises redis.RedisError.

    Calls begin again one at a time. If the vendor is still down, its breaker opens again.
    """
    keys = Keys(slug)
    return bool(script("close_breaker")(keys=[keys.state, keys.freed], client=commands()))


def read_open(state: Mapping[str, str], now: datetime) -> OpenBreaker | None:
    """Return the open breaker in the hash at a vendor's `state` key; None if it is closed."""
    if "open_until" not in state:
        return None
    probed_until = moment(state["probe_until"]) if "probe_until" in state else None
    is_probing = probed_until is not None and probed_until > now
    return OpenBreaker(
        since=moment(state["opened_at"]) if "opened_at" in state else None,
        code=state.get("open_code", ""),
        is_throttled="throttled_at" in state,
        next_probe=probed_until if probed_until and is_probing else moment(state["open_until"]),
        is_probing=is_probing,
    )
