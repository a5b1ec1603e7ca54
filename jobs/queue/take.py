"""Takes the entries of a vendor that may start now, and charges a permit for each.

One atomic script checks windows, pace, in-flight slots, pause and breaker, reads as many entries as
they allow, and charges for exactly those.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

from jobs.models import Stream
from jobs.queue import limiter
from jobs.queue.keys import Keys
from jobs.queue.redis import commands, script
from jobs.queue.stream import Entry
from vendors.models import Vendor

PROBE_MARGIN_SECONDS = 10


@dataclass(frozen=True)
class Taken:
    """The entries taken from one vendor, and when to ask again."""

    vendor: Vendor
    asked_at: float  # monotonic seconds
    entries: list[Entry] = field(default_factory=list)
    now: datetime = datetime.min  # Redis' clock
    wait_seconds: float = 0.0
    # Streams whose next entry ends the wait early, each with its last entry id.
    listen: dict[str, str] = field(default_factory=dict)
    probe: str = ""  # token, if the entry is a breaker's probe
    stale: bool = False  # Redis lost data: rebuild the log and the in-flight set first

    @property
    def has_no_more(self) -> bool:
        """Whether all entries are taken, so that asking again pays only after a new entry."""
        return Keys(self.vendor.slug).jobs in self.listen


def take(vendor: Vendor, consumer: str, want: int) -> Taken:
    """Take at most `want` entries for `consumer`.

    Raises redis.RedisError. It is then unknown whether entries were taken: requeue those that are
    pending at the consumer and that it does not know (jobs.recovery.pending.requeue).
    """
    probe, asked_at = secrets.token_hex(8), time.monotonic()
    probe_life_us = int((vendor.timeout_seconds + PROBE_MARGIN_SECONDS) * 1e6)
    own_args = [consumer, want, vendor.max_in_flight or 0, probe, probe_life_us]
    polls = [Keys(vendor.slug).polls] if vendor.polling else []
    reply = script("limits", "take")(
        keys=[*limiter.keys_of(vendor.slug), *polls],
        args=[*limiter.arguments(vendor.windows), *own_args],
        client=commands(),
    )
    return _taken(vendor, asked_at, reply, probe) if reply else Taken(vendor, asked_at, stale=True)


def _taken(vendor: Vendor, asked_at: float, reply: list[Any], probe: str) -> Taken:
    now_us, wait_us, first_us, probing, ends, retries, jobs, *polls = reply
    rows = [(Stream.RETRIES, *pair, "") for pair in _pairs(retries)]
    rows += [(Stream.JOBS, *pair, "") for pair in _pairs(jobs)]
    for flat in polls:  # a list if the vendor is polled
        rows += zip(repeat(Stream.POLLS), flat[::3], flat[1::3], flat[2::3], strict=False)
    entries = [
        Entry(vendor.slug, stream, entry_id, job_id, str(first_us + at) if first_us else "", due)
        for at, (stream, entry_id, job_id, due) in enumerate(rows)
    ]
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
