"""Takes the entries of a vendor that may start now: one atomic script over windows, pace, slots, pause and breaker that
reads that many entries and charges exactly what it has read."""

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobs import limiter
from jobs.keys import Keys
from jobs.models import Stream
from jobs.redis import commands
from jobs.scripts import script
from jobs.stream import Entry
from vendors.models import Vendor

PROBE_MARGIN_SECONDS = 10


@dataclass(frozen=True)
class Taken:
    """What one vendor gave, and when it is worth asking again."""

    vendor: Vendor
    asked_at: float  # monotonic seconds
    entries: list[Entry] = field(default_factory=list)
    now: datetime = datetime.min  # by Redis' clock
    wait_seconds: float = 0.0
    listen: dict[str, str] = field(default_factory=dict)  # streams whose next entry ends the wait, by where they end
    probe: str = ""  # set where the entry is a breaker's probe
    stale: bool = False  # Redis lost data: log and flight are to be rebuilt first


def take(vendor: Vendor, consumer: str, want: int) -> Taken:
    """Take at most `want` entries for `consumer`.

    Raises redis.RedisError; then it is unknown whether entries were taken, and those pending at the consumer that it
    does not know of are to be handed back.
    """
    probe, asked_at = secrets.token_hex(8), time.monotonic()
    probe_life_us = int((vendor.timeout_seconds + PROBE_MARGIN_SECONDS) * 1e6)
    reply = script("limits", "take")(
        keys=limiter.keys_of(vendor.slug),
        args=[*limiter.arguments(vendor.windows), consumer, want, vendor.max_in_flight or 0, probe, probe_life_us],
        client=commands(),
    )
    if reply[0] == "stale":
        return Taken(vendor, asked_at, stale=True)
    return _taken(vendor, asked_at, reply[1:], probe)


def _taken(vendor: Vendor, asked_at: float, reply: list[str], probe: str) -> Taken:
    now_us, wait_us, listen, first_us, probing, *rest = reply
    ends, flat = rest[:3], rest[3:]
    rows = [flat[i : i + 3] for i in range(0, len(flat), 3)]
    charges = [str(int(first_us) + i) if first_us else "" for i in range(len(rows))]
    entries = [
        Entry(vendor.slug, Stream(stream), entry_id, job_id, charge)
        for (stream, entry_id, job_id), charge in zip(rows, charges, strict=True)
    ]
    return Taken(
        vendor,
        asked_at,
        entries,
        now=datetime.fromtimestamp(int(now_us) / 1e6, UTC),
        wait_seconds=int(wait_us) / 1e6,
        listen=_listen(Keys(vendor.slug), listen, ends),
        probe=probe if int(probing) else "",
    )


def _listen(keys: Keys, what: str, ends: list[str]) -> dict[str, str]:
    again, jobs, freed = ends
    match what:
        case "news":
            return {keys.again: again, keys.jobs: jobs}
        case "slot":
            return {keys.freed: freed}
        case _:
            return {}
