"""After Redis lost data, a vendor's log and in-flight set are made from the rows before any call is
permitted.
"""

import logging
import secrets
import time
from datetime import datetime, timedelta

from jobs.models import IN_FLIGHT, Attempt, Job, Status
from jobs.queue import counters, limiter
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.redis import commands
from vendors.models import Vendor

log = logging.getLogger(__name__)

# A permit that was charged before the loss is used within this time, and is in the rows by then, or
# is renewed first.
SETTLING_SECONDS = 0.1


def rebuild(vendors: list[Vendor]) -> list[Vendor]:
    """Rebuild those of the vendors that nobody else is rebuilding, and return them. Raises
    redis.RedisError.
    """
    token = secrets.token_hex(8)
    mine = [
        vendor
        for vendor in vendors
        if commands().set(Keys(vendor.slug).rebuilder, token, nx=True, px=10_000)
    ]
    if not mine:
        return []
    # Looked at twice, for a call can end without its try being in the rows at once: on MongoDB, or
    # when a callback outruns it.
    calling = {vendor.slug: _calling(vendor) for vendor in mine}
    time.sleep(SETTLING_SECONDS)
    return [vendor for vendor in mine if _rebuild(vendor, calling[vendor.slug], token)]


def _rebuild(vendor: Vendor, calling: dict[str, datetime], token: str) -> bool:
    calling = {**calling, **_calling(vendor)}
    ended_us, calling_us = _ended_us(vendor), [limiter.microseconds(at) for at in calling.values()]
    in_flight = list(
        Job.objects.filter(status__in=IN_FLIGHT, vendor=vendor.slug).values_list("pk", flat=True)
    )
    if not limiter.rebuild(
        vendor.slug, vendor.windows, ended_us, in_flight, calling_us=calling_us, token=token
    ):
        return False
    _suspect_all_who_call(vendor)
    counters.count("limiter_rebuilds", vendor.slug)
    text = "limits of %s are made from the store: %d starts, %d jobs in flight"
    log.info(text, vendor, len(ended_us) + len(calling_us), len(in_flight))
    return True


def _suspect_all_who_call(vendor: Vendor) -> None:
    """Who died before Redis lost its data has no beat any more by which it would be found silent;
    who lives beats soon.
    """
    workers = (
        Job.objects.filter(status=Status.PROCESSING, vendor=vendor.slug)
        .values_list("worker", flat=True)
        .distinct()
    )
    seconds, _ = commands().time()
    if beats := dict.fromkeys(workers, seconds * 1000):
        commands().zadd(HEARTBEATS, beats, nx=True)


def _calling(vendor: Vendor) -> dict[str, datetime]:
    """Return the jobs whose calls are under way, and since when. To be asked before `_ended_us`, so
    that none is missed.
    """
    rows = Job.objects.filter(status=Status.PROCESSING, vendor=vendor.slug)
    return {job_id: at or limiter.EPOCH for job_id, at in rows.values_list("pk", "started_at")}


def _ended_us(vendor: Vendor) -> list[int]:
    """Return when calls were started that the log must know, newest first."""
    now, _ = commands().time()
    most, seconds = limiter.memory(vendor)
    since = limiter.EPOCH + timedelta(seconds=now - seconds)
    ended = Attempt.objects.filter(vendor=vendor.slug, started_at__gte=since).order_by(
        "-started_at"
    )
    return [limiter.microseconds(at) for at in ended.values_list("started_at", flat=True)[:most]]
