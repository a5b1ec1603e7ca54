"""Keeps a vendor's in-flight set true to the rows, so that it cannot leak slots."""

import logging
from datetime import UTC, datetime, timedelta

from jobs import counts
from jobs.keys import Keys
from jobs.models import IN_FLIGHT, Job
from jobs.redis import commands
from jobs.scripts import script

log = logging.getLogger(__name__)

# Between take and start, and between record and settle, set and rows disagree rightly.
GRACE = timedelta(seconds=30)


def correct(vendor: str) -> int:
    """Take jobs out of the set that the rows do not know in flight, and add those that it lacks; returns how many.

    Raises redis.RedisError.
    """
    keys, before = Keys(vendor), datetime.now(UTC) - GRACE
    members = {job_id: int(score) for job_id, score in commands().zrange(keys.flight, 0, -1, withscores=True)}
    rows = Job.objects.filter(status__in=IN_FLIGHT, vendor=vendor)
    started_at = dict(rows.values_list("pk", "started_at"))
    strays = {
        job_id: score for job_id, score in members.items() if job_id not in started_at and score < before.timestamp() * 1000
    }
    missing = [job_id for job_id, at in started_at.items() if job_id not in members and at and at < before]
    if strays:
        args = [part for item in strays.items() for part in item]
        script("unflight")(keys=[keys.flight, keys.gate, keys.freed], args=args, client=commands())
    if missing:
        commands().zadd(keys.flight, {job_id: int(before.timestamp() * 1000) for job_id in missing})
    if strays or missing:
        log.warning("in flight at %s: %d slots were leaked and %d missing; corrected", vendor, len(strays), len(missing))
        counts.count("flight_corrections", vendor, len(strays) + len(missing))
    return len(strays) + len(missing)
