"""Finds queued jobs whose entry Redis has lost.

A stream is first in, first out: a job that was queued before the head of its stream's undelivered entries, and is neither
pending nor started, has no entry any more. A backlog as such is never touched.
"""

import logging
from datetime import UTC, datetime, timedelta

from jobs import counts, lifecycle, stream
from jobs.keys import Keys
from jobs.models import Job, Status, Stream
from jobs.redis import commands
from jobs.scripts import script

log = logging.getLogger(__name__)

# For clocks that disagree, and for the moment between the row and its entry.
GRACE = timedelta(seconds=5)
BATCH = 500


def put_back(vendor: str) -> int:
    """Add up to BATCH lost entries of each stream of a vendor again; returns how many in the fuller one.

    Raises redis.RedisError.
    """
    keys = Keys(vendor)
    heads_ms = script("heads")(keys=[keys.again, keys.jobs], args=[], client=commands())
    again, jobs = (datetime.fromtimestamp(int(head) / 1000, UTC) for head in heads_ms)
    # An entry of a first try can have been handed back, and then it is in the other stream.
    return max(_put_back(vendor, Stream.AGAIN, again - GRACE), _put_back(vendor, Stream.JOBS, min(again, jobs) - GRACE))


def _put_back(vendor: str, of: Stream, lost_before: datetime) -> int:
    behind = Job.objects.filter(status=Status.QUEUED, vendor=vendor, stream=of, queued_at__lt=lost_before, not_before=None)
    job_ids = list(behind.order_by("queued_at").values_list("pk", flat=True)[:BATCH])
    lost = [job_id for job_id in job_ids if job_id not in _in_flight(vendor, job_ids)] if job_ids else []
    if lost:
        lifecycle.put_back_in_stream(lost, lost_before=lost_before, now=datetime.now(UTC))
        stream.add(vendor, lost, of)
        log.warning("%d entries of %s were lost by Redis and are added again", len(lost), vendor)
        counts.count("lost_entries", vendor, len(lost))
    return len(lost)


def _in_flight(vendor: str, job_ids: list[str]) -> set[str]:
    scores = commands().zmscore(Keys(vendor).flight, job_ids)
    return {job_id for job_id, score in zip(job_ids, scores, strict=True) if score is not None}
