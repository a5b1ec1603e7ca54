"""Takes the entries of a vendor that may start now: one atomic script over windows, pace, slots,
pause and breaker that reads that many entries and charges exactly what it has read.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobs.models import Stream
from jobs.queue import limiter
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.queue.scripts import script
from jobs.queue.stream import Entry
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
    listen: dict[str, str] = field(
        default_factory=dict
    )  # streams whose next entry ends the wait, by where they end
    probe: str = ""  # set where the entry is a breaker's probe
    stale: bool = False  # Redis lost data: log and flight are to be rebuilt first

    @property
    def has_no_more(self) -> bool:
        """Whether all that there was is taken, so that nothing but an entry makes it worth asking
        again.
        """
        return Keys(self.vendor.slug).jobs in self.listen


def take(vendor: Vendor, consumer: str, want: int) -> Taken:
    """Take at most `want` entries for `consumer`.

    Raises redis.RedisError; then it is unknown whether entries were taken, and those pending at the
    consumer that it does not know of are to be handed back.
    """
    probe, asked_at = secrets.token_hex(8), time.monotonic()
    probe_life_us = int((vendor.timeout_seconds + PROBE_MARGIN_SECONDS) * 1e6)
    reply = script("limits", "take")(
        keys=limiter.keys_of(vendor.slug),
        args=[
            *limiter.arguments(vendor.windows),
            consumer,
            want,
            vendor.max_in_flight or 0,
            probe,
            probe_life_us,
        ],
        client=commands(),
    )
    return _taken(vendor, asked_at, reply, probe) if reply else Taken(vendor, asked_at, stale=True)


def _taken(vendor: Vendor, asked_at: float, reply: list[Any], probe: str) -> Taken:
    now_us, wait_us, first_us, probing, ends, retries, jobs = reply
    rows = [(Stream.RETRIES, *pair) for pair in _pairs(retries)] + [
        (Stream.JOBS, *pair) for pair in _pairs(jobs)
    ]
    charges = [str(first_us + number) if first_us else "" for number in range(len(rows))]
    entries = [Entry(vendor.slug, *row, charge) for row, charge in zip(rows, charges, strict=True)]
    return Taken(
        vendor,
        asked_at,
        entries,
        now=datetime.fromtimestamp(now_us / 1e6, UTC),
        wait_seconds=wait_us / 1e6,
        listen=dict(_pairs(ends)),
        probe=probe if probing else "",
    )


def _pairs(flat: list[str]) -> Iterator[tuple[str, str]]:
    return zip(flat[::2], flat[1::2], strict=True)
