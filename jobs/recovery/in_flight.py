"""Keeps in-flight sets in agreement with the rows, so that they cannot leak slots."""

import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from django.db.models import QuerySet

from jobs import tallies
from jobs.models import EPOCH, IN_FLIGHT, Job
from jobs.queue.keys import BucketKeys, Keys
from jobs.queue.redis import commands, script
from jobs.recovery.rebuild.target import Target

log = logging.getLogger(__name__)

# Set and rows may differ for a moment: between take and claim, and between record and settle.
GRACE = timedelta(seconds=30)
CHUNK = 1000  # a vendor can have a hundred thousand jobs that wait for their callbacks

T = TypeVar("T")


def correct(vendor: str) -> int:
    """Free slots of jobs whose rows are not in flight, and add missing ones; returns how many.

    Raises redis.RedisError.
    """
    corrected = _correct(vendor, Keys(vendor), Job.objects.filter(vendor=vendor))
    if corrected:
        tallies.count("in_flight_corrections", vendor, corrected)
    return corrected


def correct_shared(target: Target) -> int:
    """Do the same for a limit that vendors share.

    The jobs of a vendor that has left it keep their slots until they end.
    """
    jobs = Job.objects.filter(vendor__in=sorted(target.selection.slugs))
    return _correct(target.bucket.name, target.bucket.keys, jobs, target.bucket.key)


def _correct(name: str, keys: BucketKeys, jobs: QuerySet[Job], key: str = "") -> int:
    """`key`: of a credential, if the set holds only the jobs called with it."""
    seconds, _ = commands().time()
    before_ms = (seconds - int(GRACE.total_seconds())) * 1000
    called_with = {"credential__in": ("", key)} if key else {}
    leaked = _free_leaked(keys, Job.objects.filter(**called_with), before_ms)
    missing = _add_missing(keys, jobs.filter(**called_with), before_ms)
    if leaked or missing:
        text = "corrected the in-flight set of %s: %d slots leaked, %d missing"
        log.warning(text, name, leaked, missing)
    return leaked + missing


def vendors_with_slots(vendors: Iterable[str]) -> set[str]:
    """Return the vendors whose in-flight set is not empty. Raises redis.RedisError."""
    vendors, pipeline = list(vendors), commands().pipeline(transaction=False)
    for vendor in vendors:
        pipeline.zcard(Keys(vendor).in_flight)
    return {vendor for vendor, slots in zip(vendors, pipeline.execute(), strict=True) if slots}


def _free_leaked(keys: BucketKeys, jobs: QuerySet[Job], before_ms: int) -> int:
    script_keys, freed = [keys.in_flight, keys.state, keys.freed], 0
    for chunk in _chunks(commands().zscan_iter(keys.in_flight, count=CHUNK)):
        old = {job_id: int(score) for job_id, score in chunk if score < before_ms}
        rows = jobs.filter(pk__in=list(old), status__in=IN_FLIGHT) if old else jobs.none()
        if leaked := old.keys() - set(rows.values_list("pk", flat=True)):
            args = [part for job_id in leaked for part in (job_id, old[job_id])]
            freed += script("free_leaked")(keys=script_keys, args=args, client=commands())
    return freed


def _add_missing(keys: BucketKeys, jobs: QuerySet[Job], before_ms: int) -> int:
    before, added = EPOCH + timedelta(milliseconds=before_ms), 0
    rows = jobs.filter(status__in=IN_FLIGHT, started_at__lt=before)
    for job_ids in _chunks(rows.values_list("pk", flat=True).iterator(CHUNK)):
        scores = dict(zip(job_ids, commands().zmscore(keys.in_flight, job_ids), strict=True))
        missing = {job_id: before_ms for job_id, score in scores.items() if score is None}
        added += commands().zadd(keys.in_flight, missing, nx=True) if missing else 0
    return added


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
