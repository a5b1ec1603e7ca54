"""Takes the entries of a vendor that may start now, and charges a permit for each.

One atomic script checks windows, pace, quotas, in-flight slots, pauses and breaker, reads as many
entries as they allow, and charges for exactly those.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jobs.models import Stream
from jobs.queue.buckets import Bucket, arguments, buckets_of, keys_of
from jobs.queue.clock import redis_clock
from jobs.queue.keys import HEARTBEATS, Keys, key_pause
from jobs.queue.redis import commands, script
from jobs.queue.stream import Entry
from vendors.models import PoolKey, Vendor

PROBE_MARGIN_SECONDS = 10
ANY = PoolKey("")  # of a vendor without a credential


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
    stale: bool = False  # Redis lost data: rebuild the buckets first
    # Buckets whose definition is older than one that Redis knows, with the version of that: read
    # the definitions again.
    outdated: list[tuple[Bucket, int]] = field(default_factory=list)

    @property
    def has_no_more(self) -> bool:
        """Whether all entries are taken, so that asking again pays only after a new entry."""
        return Keys(self.vendor.slug).jobs in self.listen


class Admission(NamedTuple):
    """What limits.lua and admission.lua are given for a vendor."""

    buckets: list[Bucket]
    pool: list[PoolKey]  # the keys that may be used now
    keys: list[str]
    args: list[Any]  # lacks how many entries are wanted


def admission(vendor: Vendor, now: datetime) -> Admission:
    """Return what decides about the vendor's calls. `now`: by Redis' clock.

    Raises ValueError if a limit that the vendor names does not exist.
    """
    credential, keys = vendor.credential, Keys(vendor.slug)
    pool = [key for key in credential.pool(now) if key.calls or key.polls] if credential else [ANY]
    buckets = buckets_of(vendor).of_all([key.name for key in pool])
    of_pool = [
        redis_key
        for key in pool
        for redis_key in (
            key_pause(credential.slug, key.name) if credential else keys.pause,
            keys.polls_of(key.name),
        )
    ]
    of_vendor = [keys.retries, keys.jobs, keys.pause, HEARTBEATS]
    uses = [part for key in pool for part in (key.name, _uses(vendor, key))]
    weights = [vendor.weight, vendor.poll_weight if vendor.polling else 0]
    return Admission(
        buckets,
        pool,
        [*keys_of(buckets), *of_vendor, *of_pool],
        [*arguments(buckets, now), *weights, len(pool), *uses],
    )


def _uses(vendor: Vendor, key: PoolKey) -> str:
    polls = vendor.polling is not None and key.polls
    return " ".join(["calls"] * key.calls + ["polls"] * polls)


def take(vendor: Vendor, consumer: str, want: int) -> Taken:
    """Take at most `want` entries for `consumer`.

    Raises redis.RedisError. It is then unknown whether entries were taken: requeue those that are
    pending at the consumer and that it does not know (jobs.recovery.pending.requeue). Raises
    ValueError if a limit that the vendor names does not exist.
    """
    probe, asked_at = secrets.token_hex(8), time.monotonic()
    probe_life_us = int((vendor.timeout_seconds + PROBE_MARGIN_SECONDS) * 1e6)
    allowed = admission(vendor, redis_clock.now())
    reply = script("limits", "admission", "take")(
        keys=allowed.keys,
        args=[*allowed.args, want, consumer, probe, probe_life_us],
        client=commands(),
    )
    match reply:
        case []:
            return Taken(vendor, asked_at, stale=True)
        case ["outdated", *versions]:
            pairs = zip(versions[::2], versions[1::2], strict=True)
            outdated = [(allowed.buckets[index - 1], int(version)) for index, version in pairs]
            return Taken(vendor, asked_at, outdated=outdated)
    now_us, wait_us, probing, ends, groups = reply
    return Taken(
        vendor,
        asked_at,
        [entry for group in groups for entry in _entries(vendor, allowed.pool, group)],
        now=datetime.fromtimestamp(now_us / 1e6, UTC),
        wait_seconds=wait_us / 1e6,
        listen=dict(_pairs(ends)),
        probe=probe if probing else "",
    )


def _entries(vendor: Vendor, pool: list[PoolKey], group: list[Any]) -> Iterator[Entry]:
    """Return the entries that were taken with one key. Their charges follow one another."""
    index, charge, retries, jobs, polls = group
    rows = [(Stream.RETRIES, *pair, "", vendor.weight) for pair in _pairs(retries)]
    rows += [(Stream.JOBS, *pair, "", vendor.weight) for pair in _pairs(jobs)]
    triples = zip(polls[::3], polls[1::3], polls[2::3], strict=True)
    rows += [(Stream.POLLS, *triple, vendor.poll_weight) for triple in triples]
    for stream, entry_id, job_id, due, units in rows:
        of_entry = str(charge) if charge and units else ""
        yield Entry(
            vendor.slug, stream, entry_id, job_id, of_entry, due, pool[index - 1].name, units
        )
        charge += units if charge else 0


def _pairs(flat: list[str]) -> Iterator[tuple[str, str]]:
    return zip(flat[::2], flat[1::2], strict=True)
