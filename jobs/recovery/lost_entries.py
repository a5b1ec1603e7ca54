"""Finds queued jobs whose entry Redis has lost, without touching a backlog.

A stream is first in, first out. A job that was queued before the oldest undelivered entry of its
stream, and is neither pending nor in flight, has lost its entry. When Redis has lost the streams
themselves, which a missing `intact_since` key shows, so has every job queued before they were
created again.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from jobs import lifecycle, tallies
from jobs.models import QUEUES, Job, Status, Stream
from jobs.queue import stream
from jobs.queue.keys import Keys
from jobs.queue.redis import commands, script

log = logging.getLogger(__name__)

# For clocks that disagree, and for the moment between inserting a row and adding its entry.
GRACE = timedelta(seconds=5)
# The same after the streams were lost. Longer: a job missed then waits for the whole backlog
# before it. A job that has an entry already gets a second one, which is refused when it is taken.
LOSS_GRACE = timedelta(seconds=30)
CHUNK = 500


@dataclass(frozen=True)
class _StreamTimes:
    """A vendor's streams. Times are Redis' clock; rows may carry the time of any machine."""

    now: datetime
    retries: datetime  # when the oldest undelivered entry was added; `now` if all are delivered
    jobs: datetime
    intact_since: datetime  # no entry added since then was lost, as far as known

    def lost_before(self, of: Stream) -> datetime:
        # The entry of a first attempt may have been requeued, and is then in the other stream.
        head = self.retries if of == Stream.RETRIES else min(self.retries, self.jobs)
        return max(head - GRACE, self.intact_since + LOSS_GRACE)

    @property
    def requeued_at(self) -> datetime:
        """The queued_at of a job requeued now, late enough not to count as lost again."""
        return max(self.now, self.intact_since + LOSS_GRACE)


def requeue(vendor: str) -> int:
    """Requeue up to CHUNK lost entries of each of a vendor's streams; returns the larger number.

    Raises redis.RedisError.
    """
    times = _stream_times(vendor)
    return max(_requeue(vendor, of, times) for of in QUEUES)


def _stream_times(vendor: str) -> _StreamTimes:
    keys = Keys(vendor)
    *times_ms, intact_ms = script("heads")(
        keys=[keys.retries, keys.jobs, keys.intact_since], args=[], client=commands()
    )
    if not intact_ms:
        intact_ms = 0 if _are_intact(vendor) else min(times_ms, key=int)
        commands().set(keys.intact_since, intact_ms, nx=True)
    times = (datetime.fromtimestamp(int(ms) / 1000, UTC) for ms in (*times_ms, intact_ms))
    return _StreamTimes(*times)


def _are_intact(vendor: str) -> bool:
    """Return whether the oldest queued jobs have their entries: then none is lost, and the key is
    missing because this is the vendor's first check.
    """
    keys = Keys(vendor)
    entries = {
        fields.get("job")
        for key in (keys.retries, keys.jobs)
        for _, fields in commands().xrange(key, count=CHUNK)
    }
    by_age = (_queued(vendor, of).order_by("queued_at") for of in QUEUES)
    oldest = [jobs.values_list("pk", flat=True).first() for jobs in by_age]
    return all(job_id in entries for job_id in oldest if job_id)


def _requeue(vendor: str, of: Stream, times: _StreamTimes) -> int:
    lost_before = times.lost_before(of)
    older = _queued(vendor, of).filter(queued_at__lt=lost_before)
    job_ids = list(older.order_by("queued_at").values_list("pk", flat=True)[:CHUNK])
    in_flight = _in_flight(vendor, job_ids)
    lost = [job_id for job_id in job_ids if job_id not in in_flight]
    if lost:
        # The entry first: after a crash between the two, a job has two entries rather than none.
        stream.add(vendor, lost, of)
        lifecycle.requeue_lost(lost, lost_before=lost_before, now=times.requeued_at)
        log.warning("Redis lost %d entries of %s; requeued", len(lost), vendor)
        tallies.count("lost_entries", vendor, len(lost))
    return len(lost)


def _queued(vendor: str, of: Stream) -> QuerySet[Job]:
    return Job.objects.filter(status=Status.QUEUED, vendor=vendor, stream=of, not_before=None)


def _in_flight(vendor: str, job_ids: list[str]) -> set[str]:
    scores = commands().zmscore(Keys(vendor).in_flight, job_ids) if job_ids else []
    return {job_id for job_id, score in zip(job_ids, scores, strict=True) if score is not None}
