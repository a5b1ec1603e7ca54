"""Keeps a vendor's in-flight set true to the rows, so that it cannot leak slots."""

import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from jobs.models import IN_FLIGHT, Job
from jobs.queue import counters, limiter
from jobs.queue.keys import Keys
from jobs.queue.redis import commands, script

log = logging.getLogger(__name__)

# Between take and start, and between record and settle, set and rows disagree rightly.
GRACE = timedelta(seconds=30)
CHUNK = 1000  # a vendor can have a hundred thousand jobs that wait for their callbacks

T = TypeVar("T")


def correct(vendor: str) -> int:
    """Take jobs out of the set that the rows do not know in flight, and add those that it lacks;
    returns how many.

    Raises redis.RedisError.
    """
    seconds, _ = commands().time()
    before_ms = (seconds - int(GRACE.total_seconds())) * 1000
    strays, missing = _drop_strays(vendor, before_ms), _add_missing(vendor, before_ms)
    if strays or missing:
        log.warning(
            "in flight at %s: %d slots were leaked and %d missing; corrected",
            vendor,
            strays,
            missing,
        )
        counters.count("flight_corrections", vendor, strays + missing)
    return strays + missing


def vendors_with_slots(vendors: Iterable[str]) -> set[str]:
    """Return those of the vendors that have jobs in their sets. Raises redis.RedisError."""
    vendors, pipeline = list(vendors), commands().pipeline(transaction=False)
    for vendor in vendors:
        pipeline.zcard(Keys(vendor).in_flight)
    return {vendor for vendor, slots in zip(vendors, pipeline.execute(), strict=True) if slots}


def _drop_strays(vendor: str, before_ms: int) -> int:
    keys, dropped = Keys(vendor), 0
    for chunk in _chunks(commands().zscan_iter(keys.in_flight, count=CHUNK)):
        old = {job_id: int(score) for job_id, score in chunk if score < before_ms}
        known = (
            Job.objects.filter(pk__in=list(old), status__in=IN_FLIGHT).values_list("pk", flat=True)
            if old
            else []
        )
        strays = old.keys() - set(known)
        if strays:
            args = [part for job_id in strays for part in (job_id, old[job_id])]
            dropped += script("free_leaked")(
                keys=[keys.in_flight, keys.state, keys.freed], args=args, client=commands()
            )
    return dropped


def _add_missing(vendor: str, before_ms: int) -> int:
    key, added = Keys(vendor).in_flight, 0
    before = limiter.EPOCH + timedelta(milliseconds=before_ms)
    rows = Job.objects.filter(status__in=IN_FLIGHT, vendor=vendor, started_at__lt=before)
    for job_ids in _chunks(rows.values_list("pk", flat=True).iterator(CHUNK)):
        scores = commands().zmscore(key, job_ids)
        missing = {
            job_id: before_ms
            for job_id, score in zip(job_ids, scores, strict=True)
            if score is None
        }
        added += commands().zadd(key, missing, nx=True) if missing else 0
    return added


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
