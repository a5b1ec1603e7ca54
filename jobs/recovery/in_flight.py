"""Keeps a vendor's in-flight set in agreement with the rows, so that it cannot leak slots."""

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

# Set and rows may differ for a moment: between take and claim, and between record and settle.
GRACE = timedelta(seconds=30)
CHUNK = 1000  # a vendor can have a hundred thousand jobs that wait for their callbacks

T = TypeVar("T")


def correct(vendor: str) -> int:
    """Free slots of jobs whose rows are not in flight, and add missing ones; returns how many.

    Raises redis.RedisError.
    """
    seconds, _ = commands().time()
    before_ms = (seconds - int(GRACE.total_seconds())) * 1000
    leaked, missing = _free_leaked(vendor, before_ms), _add_missing(vendor, before_ms)
    if leaked or missing:
        text = "corrected the in-flight set of %s: %d slots leaked, %d missing"
        log.warning(text, vendor, leaked, missing)
        counters.count("in_flight_corrections", vendor, leaked + missing)
    return leaked + missing


def vendors_with_slots(vendors: Iterable[str]) -> set[str]:
    """Return the vendors whose in-flight set is not empty. Raises redis.RedisError."""
    vendors, pipeline = list(vendors), commands().pipeline(transaction=False)
    for vendor in vendors:
        pipeline.zcard(Keys(vendor).in_flight)
    return {vendor for vendor, slots in zip(vendors, pipeline.execute(), strict=True) if slots}


def _free_leaked(vendor: str, before_ms: int) -> int:
    keys, freed = Keys(vendor), 0
    script_keys = [keys.in_flight, keys.state, keys.freed]
    for chunk in _chunks(commands().zscan_iter(keys.in_flight, count=CHUNK)):
        old = {job_id: int(score) for job_id, score in chunk if score < before_ms}
        if leaked := old.keys() - _in_flight_rows(list(old)):
            args = [part for job_id in leaked for part in (job_id, old[job_id])]
            freed += script("free_leaked")(keys=script_keys, args=args, client=commands())
    return freed


def _in_flight_rows(job_ids: list[str]) -> set[str]:
    if not job_ids:
        return set()
    rows = Job.objects.filter(pk__in=job_ids, status__in=IN_FLIGHT)
    return set(rows.values_list("pk", flat=True))


def _add_missing(vendor: str, before_ms: int) -> int:
    key, added = Keys(vendor).in_flight, 0
    before = limiter.EPOCH + timedelta(milliseconds=before_ms)
    rows = Job.objects.filter(status__in=IN_FLIGHT, vendor=vendor, started_at__lt=before)
    for job_ids in _chunks(rows.values_list("pk", flat=True).iterator(CHUNK)):
        scores = dict(zip(job_ids, commands().zmscore(key, job_ids), strict=True))
        missing = {job_id: before_ms for job_id, score in scores.items() if score is None}
        added += commands().zadd(key, missing, nx=True) if missing else 0
    return added


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
