"""Rebuilds the buckets that count calls from the rows after Redis lost data, before any call is
permitted.

A vendor's own bucket keeps what its log still holds, which is exact. A shared bucket is always
written anew, since its vendors may have been called without it: before they joined it, or by a
worker that did not know yet.
"""

import logging
import secrets
import time
from collections.abc import Mapping
from datetime import datetime

from jobs import tallies
from jobs.models import Job, Status
from jobs.queue import limiter, restore
from jobs.queue.buckets import Bucket
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.redis import commands
from jobs.recovery.rebuild.rows import Rows
from jobs.recovery.rebuild.target import Target, of_other_scope, stale_buckets, targets_of
from vendors.catalogue import catalogue
from vendors.models import Vendor

__all__ = ["SETTLING_SECONDS", "rebuild"]

log = logging.getLogger(__name__)

# Within this time, a permit charged before the loss is used and its job in the rows, or it is
# renewed.
SETTLING_SECONDS = 0.1
LOCK_MS = 20_000  # longer than it takes to read a month's calls


def rebuild(vendors: list[Vendor]) -> list[Vendor]:
    """Rebuild the stale buckets of these vendors that no other worker is rebuilding. Returns the
    vendors that one of them counts. Raises redis.RedisError and STORE_ERRORS.
    """
    token = secrets.token_hex(8)
    known = _current(vendors)
    locked = {vendor.slug: _lock_stale(known[vendor.slug], token) for vendor in vendors}
    targets = targets_of(locked, known)
    if not targets:
        return []
    _stop([target for target in targets if target.bucket.limit])
    rows = _rows(targets, known)
    rows.read_calling()
    time.sleep(SETTLING_SECONDS)
    rows.read_calling()
    now = _now()
    for target in targets:
        target.read_unfinished(rows, now)
    counted = {
        vendor.slug
        for target in targets
        if _restore(target, rows, now, token)
        for vendor in target.vendors
    }
    for slug in counted:
        tallies.count("limiter_rebuilds", slug)
    return [vendor for vendor in vendors if vendor.slug in counted]


def _now() -> datetime:
    """Return the time of Redis' clock."""
    seconds, microseconds = commands().time()
    return limiter.moment(str(seconds * 1_000_000 + microseconds))


def _current(vendors: list[Vendor]) -> dict[str, Vendor]:
    """Return all vendors by slug, with the settings that the store has now: calls of vendors that
    have just joined a limit count.
    """
    catalogue.forget()
    known = dict(catalogue.all())
    for vendor in vendors:
        current = known.get(vendor.slug)
        if current is None or (current.version <= vendor.version and not vendor.limit_names):
            known[vendor.slug] = vendor
    return known


def _lock_stale(vendor: Vendor, token: str) -> list[Bucket]:
    """Return the vendor's stale buckets that are now locked."""
    locked = [
        bucket
        for bucket in stale_buckets(vendor)
        if commands().set(bucket.keys.rebuilder, token, nx=True, px=LOCK_MS)
    ]
    # Another worker may have rebuilt some of them just before.
    stale = {bucket.keys.state for bucket in stale_buckets(vendor)} if locked else set()
    if fresh := [bucket.keys.rebuilder for bucket in locked if bucket.keys.state not in stale]:
        commands().delete(*fresh)
    return [bucket for bucket in locked if bucket.keys.state in stale]


def _stop(shared: list[Target]) -> None:
    """Have nobody use the shared buckets, nor call their vendors by older settings, which name
    other limits.
    """
    if not shared:
        return
    stale = [(target.bucket.keys.state, target.bucket.version) for target in shared]
    vendors = {vendor.slug: vendor for target in shared for vendor in target.vendors}
    own = [(Keys(slug).state, vendor.version) for slug, vendor in vendors.items()]
    restore.mark_stale(stale, own)
    if unused := list(of_other_scope(shared)):
        commands().unlink(*unused)


def _rows(targets: list[Target], known: Mapping[str, Vendor]) -> Rows:
    limits = {target.bucket.limit for target in targets} - {""}
    vendors = {vendor.slug: vendor for target in targets for vendor in target.vendors}
    if limits:
        vendors |= {slug: vendor for slug, vendor in known.items() if vendor.limits_changed_at}
    return Rows(vendors, limits)


def _restore(target: Target, rows: Rows, now: datetime, token: str) -> bool:
    keys = target.bucket.keys
    commands().pexpire(keys.rebuilder, LOCK_MS)
    content = target.content(rows, now)
    if not restore.restore(keys, content, token=token, streams=target.streams):
        return False
    name = (
        f"limit {target.bucket.name}" if target.bucket.limit else f"limits of {target.vendors[0]}"
    )
    starts, in_flight = len(content.starts), len(content.in_flight)
    text = "%s rebuilt from the store: %d starts, %d jobs in flight"
    log.info(text, name, starts, in_flight)
    _expect_heartbeats(target.vendors)
    return True


def _expect_heartbeats(vendors: list[Vendor]) -> None:
    """Enter every worker that is calling as if it had just sent a heartbeat.

    One that died before Redis lost its data would otherwise never be found silent.
    """
    slugs = [vendor.slug for vendor in vendors]
    rows = Job.objects.filter(status=Status.PROCESSING, vendor__in=slugs)
    workers = rows.values_list("worker", flat=True).distinct()
    seconds, _ = commands().time()
    if heartbeats := dict.fromkeys(workers, seconds * 1000):
        commands().zadd(HEARTBEATS, heartbeats, nx=True)
