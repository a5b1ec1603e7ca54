"""Takes the entries of a vendor that may start now, and charges a permit for each.

One atomic script checks windows, pace, quotas, in-flight slots, pauses and breaker, reads as many
entries as they allow, and charges for exactly those.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from jobs.models import EPOCH, Stream
from jobs.queue.buckets import Bucket, Buckets, arguments, buckets_of, keys_of
from jobs.queue.clock import redis_clock
from jobs.queue.keys import HEARTBEATS, Keys, key_pause
from jobs.queue.redis import commands, script
from jobs.queue.stream import Entry
from vendors.models import PoolKey, Vendor

PROBE_MARGIN_SECONDS = 10
UNUSABLE_WAIT_SECONDS = 1.0
STREAMS = ((Stream.RETRIES, 2), (Stream.JOBS, 2), (Stream.POLLS, 3))  # and values of an entry
NO_POOL = (PoolKey(""),)  # of a vendor without a credential


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


@dataclass(frozen=True)
class Admission:
    """What limits.lua and admission.lua are given for a vendor."""

    buckets: list[Bucket]
    pool: tuple[PoolKey, ...]  # the keys of its credential that may be used now
    keys: list[str]
    pool_args: list[Any]

    @cached_property
    def _has_quota(self) -> bool:
        return any(bucket.quota for bucket in self.buckets)

    @cached_property
    def _args(self) -> list[Any]:
        return [*arguments(self.buckets, EPOCH), *self.pool_args]

    def args(self, now: datetime) -> list[Any]:
        """Return ARGV up to how many entries are wanted. `now`: by Redis' clock."""
        return [*arguments(self.buckets, now), *self.pool_args] if self._has_quota else self._args


def admission(
    vendor: Vendor, now: datetime, *, anywhere: bool = False, polls_alone: bool = False
) -> Admission:
    """Return what decides about the vendor's calls. `now`: by Redis' clock. `anywhere`: not only
    about those of this process, which may lack keys. `polls_alone`: about none but polls.

    Raises ValueError if a limit that the vendor names, or its credential, can't be used.
    """
    pool: tuple[PoolKey, ...] = NO_POOL
    if vendor.credential:
        is_polled = vendor.polling is not None
        keys = vendor.credential.pool(now, anywhere=anywhere)
        if polls_alone:
            keys = [key._replace(calls=False) for key in keys]
        pool = tuple(key for key in keys if key.calls or (key.polls and is_polled))
    buckets = buckets_of(vendor)
    found: Admission | None = buckets.admissions.get(pool)
    if found is None:
        found = buckets.admissions[pool] = _admission(vendor, buckets, pool)
    return found


def _admission(vendor: Vendor, buckets: Buckets, pool: tuple[PoolKey, ...]) -> Admission:
    keys = Keys(vendor.slug)
    keys_of_pool, uses = [], []
    for key in pool:
        if vendor.credential:
            keys_of_pool.append(key_pause(vendor.credential.slug, key.name))
        polls = vendor.polling is not None and key.polls
        if polls:
            keys_of_pool.append(keys.polls_of(key.name))
        uses += [key.name, " ".join(["calls"] * key.calls + ["polls"] * polls)]
    of_pool = buckets.of_all([key.name for key in pool])
    of_vendor = [keys.retries, keys.jobs, keys.pause, HEARTBEATS]
    weights = [vendor.weight, vendor.poll_weight if vendor.polling else 0]
    return Admission(
        of_pool,
        pool,
        [*keys_of(of_pool), *of_vendor, *keys_of_pool],
        [*weights, len(pool), *uses],
    )


def take(vendor: Vendor, consumer: str, want: int) -> Taken:
    """Take at most `want` entries for `consumer`.

    Raises redis.RedisError. It is then unknown whether entries were taken: requeue those that are
    pending at the consumer and that it does not know (jobs.recovery.pending.requeue).
    """
    probe, asked_at = secrets.token_hex(8), time.monotonic()
    probe_life_us = int((vendor.timeout_seconds + PROBE_MARGIN_SECONDS) * 1e6)
    now = redis_clock.now()
    try:
        allowed = admission(vendor, now, polls_alone=vendor.is_paused(now))
    except ValueError:  # without all of its limits, no call is made
        return Taken(vendor, asked_at, now=now, wait_seconds=UNUSABLE_WAIT_SECONDS)
    reply = script("limits", "admission", "take")(
        keys=allowed.keys,
        args=[*allowed.args(now), want, consumer, probe, probe_life_us],
        client=commands(),
    )
    match reply:
        case []:
            return Taken(vendor, asked_at, stale=True)
        case ["outdated", *versions]:
            pairs = zip(versions[::2], versions[1::2], strict=True)
            outdated = [(allowed.buckets[index - 1], int(version)) for index, version in pairs]
            return Taken(vendor, asked_at, outdated=outdated)
    now_us, wait_us, probing, ends, *groups = reply
    entries: list[Entry] = []
    for at in range(0, len(groups), 5):
        entries += _entries(vendor, allowed.pool, *groups[at : at + 5])
    return Taken(
        vendor,
        asked_at,
        entries,
        now=datetime.fromtimestamp(now_us / 1e6, UTC),
        wait_seconds=wait_us / 1e6,
        listen=dict(_pairs(ends)) if ends else {},
        probe=probe if probing else "",
    )


def _entries(
    vendor: Vendor, pool: Sequence[PoolKey], index: int, charge: int, *lists: Any
) -> list[Entry]:
    """Return the entries that were taken with one key. Their charges follow one another."""
    slug, key, entries = vendor.slug, pool[index - 1].name, []
    for (stream, width), flat in zip(STREAMS, lists, strict=True):
        if not flat:
            continue
        units = vendor.poll_weight if stream is Stream.POLLS else vendor.weight
        for at in range(0, len(flat), width):
            due = flat[at + 2] if width == 3 else ""
            of_entry = str(charge) if charge and units else ""
            entries.append(Entry(slug, stream, flat[at], flat[at + 1], of_entry, due, key, units))
            charge += units if charge else 0
    return entries


def _pairs(flat: list[str]) -> Iterator[tuple[str, str]]:
    return zip(flat[::2], flat[1::2], strict=True)
