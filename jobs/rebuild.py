"""After Redis lost data, a vendor's log and in-flight set are made from the rows before any call is permitted."""

import logging
import secrets
import time
from datetime import datetime, timedelta

from jobs import counts, limiter
from jobs.keys import Keys
from jobs.models import IN_FLIGHT, Attempt, Job, Status
from jobs.redis import commands
from vendors.models import Vendor

log = logging.getLogger(__name__)

# A permit that was charged before the loss is used within this time, and is in the rows by then, or never.
SETTLING_SECONDS = 2 * limiter.PERMIT_SECONDS


def rebuild(vendors: list[Vendor], now: datetime) -> list[Vendor]:
    """Rebuild those of the vendors that nobody else is rebuilding, and return them. Raises redis.RedisError."""
    token = secrets.token_hex(8)
    mine = [vendor for vendor in vendors if commands().set(Keys(vendor.slug).rebuilder, token, nx=True, px=10_000)]
    if not mine:
        return []
    time.sleep(SETTLING_SECONDS)
    for vendor in mine:
        starts_us, in_flight = _starts_us(vendor, now), _in_flight(vendor)
        limiter.rebuild(vendor.slug, vendor.windows, starts_us, in_flight)
        commands().delete(Keys(vendor.slug).rebuilder)
        counts.count("rebuilds", vendor.slug)
        text = "limits of %s are made from the store: %d starts, %d jobs in flight"
        log.info(text, vendor, len(starts_us), len(in_flight))
    return mine


def _starts_us(vendor: Vendor, now: datetime) -> list[int]:
    """Return when calls were started within the longest window, newest first, as many as the limits can ask for.

    A call under way counts as started now: its permit may have been renewed since its row was written.
    """
    if not vendor.windows:
        return []
    since = now - timedelta(seconds=max(window.seconds for window in vendor.windows))
    most = max(window.calls for window in vendor.windows)
    ended = Attempt.objects.filter(vendor=vendor.slug, started_at__gte=since).order_by("-started_at")
    running = Job.objects.filter(status=Status.PROCESSING, vendor=vendor.slug).count()
    times = [*ended.values_list("started_at", flat=True)[:most], *[now] * running]
    return sorted((int(at.timestamp() * 1e6) for at in times), reverse=True)[:most]


def _in_flight(vendor: Vendor) -> list[str]:
    rows = Job.objects.filter(status__in=IN_FLIGHT, vendor=vendor.slug)
    return list(rows.values_list("pk", flat=True))
