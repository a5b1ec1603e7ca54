"""Rebuilds a vendor's log and in-flight set from the rows after Redis lost data, before any call is
permitted.
"""

import logging
import secrets
import time
from datetime import datetime, timedelta

from jobs.models import IN_FLIGHT, UNKNOWN, Attempt, Job, Status
from jobs.queue import counters, limiter
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.redis import commands
from vendors.models import Vendor

log = logging.getLogger(__name__)

# Within this time, a permit charged before the loss is used and its job in the rows, or it is
# renewed.
SETTLING_SECONDS = 0.1
LOCK_MS = 10_000
# For how long after its row was written a call may be permitted, besides its vendor's timeout.
MAX_LATE_SECONDS = 30.0


def rebuild(vendors: list[Vendor]) -> list[Vendor]:
    """Rebuild the vendors that no other worker is rebuilding, and return them. Raises
    redis.RedisError.
    """
    token = secrets.token_hex(8)
    locked = [
        vendor
        for vendor in vendors
        if commands().set(Keys(vendor.slug).rebuilder, token, nx=True, px=LOCK_MS)
    ]
    if not locked:
        return []
    # Read twice: a call can end before its attempt is in the rows, on MongoDB or when a callback
    # overtakes it.
    calling = {vendor.slug: _calling(vendor) for vendor in locked}
    time.sleep(SETTLING_SECONDS)
    return [vendor for vendor in locked if _rebuild(vendor, calling[vendor.slug], token)]


def _rebuild(vendor: Vendor, calling: dict[str, datetime], token: str) -> bool:
    calling = {**calling, **_calling(vendor)}
    ended_us, calling_us = _ended_us(vendor), [limiter.microseconds(at) for at in calling.values()]
    rows = Job.objects.filter(status__in=IN_FLIGHT, vendor=vendor.slug)
    in_flight = list(rows.values_list("pk", flat=True))
    if not limiter.rebuild(
        vendor.slug, vendor.windows, ended_us, in_flight, calling_us=calling_us, token=token
    ):
        return False
    _expect_heartbeats(vendor)
    counters.count("limiter_rebuilds", vendor.slug)
    text = "limits of %s rebuilt from the store: %d starts, %d jobs in flight"
    log.info(text, vendor, len(ended_us) + len(calling_us), len(in_flight))
    return True


def _expect_heartbeats(vendor: Vendor) -> None:
    """Enter every worker that is calling as if it had just sent a heartbeat.

    One that died before Redis lost its data would otherwise never be found silent.
    """
    rows = Job.objects.filter(status=Status.PROCESSING, vendor=vendor.slug)
    workers = rows.values_list("worker", flat=True).distinct()
    seconds, _ = commands().time()
    if heartbeats := dict.fromkeys(workers, seconds * 1000):
        commands().zadd(HEARTBEATS, heartbeats, nx=True)


def _calling(vendor: Vendor) -> dict[str, datetime]:
    """Return the calls in progress, by their job, and when each started. Read before `_ended_us`,
    so that none is missed.

    Polls and calls without a job are found by their attempts. Those of dead workers count as well:
    their permits may have been renewed until their workers died.
    """
    rows = Job.objects.filter(status=Status.PROCESSING, vendor=vendor.slug)
    jobs = {job_id: at or limiter.EPOCH for job_id, at in rows.values_list("pk", "started_at")}
    since = _log_since(vendor) - timedelta(seconds=vendor.timeout_seconds + MAX_LATE_SECONDS)
    others = Attempt.objects.filter(vendor=vendor.slug, started_at__gte=since, outcome=UNKNOWN)
    return {**jobs, **dict(others.values_list("pk", "started_at"))}


def _ended_us(vendor: Vendor) -> list[int]:
    """Return when the calls started that the log must hold, newest first, in microseconds."""
    max_calls, _ = limiter.memory(vendor)
    ended = Attempt.objects.filter(vendor=vendor.slug, started_at__gte=_log_since(vendor))
    starts = ended.order_by("-started_at").values_list("started_at", "outcome")[:max_calls]
    return [limiter.microseconds(at) for at, outcome in starts if outcome != UNKNOWN]


def _log_since(vendor: Vendor) -> datetime:
    """Return the time from which the log must hold starts, by Redis' clock."""
    now, _ = commands().time()
    _, seconds = limiter.memory(vendor)
    return limiter.EPOCH + timedelta(seconds=now - seconds)
