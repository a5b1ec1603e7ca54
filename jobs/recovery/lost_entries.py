"""Finds queued jobs whose entry Redis has lost. A backlog as such is never touched.

A stream is first in, first out: a job that was queued before the head of its stream's undelivered
entries, and is neither pending nor started, has no entry any more. And when Redis has lost the
streams themselves, which a key beside them tells, so has every job that was queued before they were
made anew.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from jobs import lifecycle
from jobs.models import Job, Status, Stream
from jobs.queue import counters, stream
from jobs.queue.keys import Keys
from jobs.queue.redis import commands, script

log = logging.getLogger(__name__)

# For clocks that disagree, and for the moment between the row and its entry.
GRACE = timedelta(seconds=5)
# The same, once, when the streams are made anew. Longer, for who is missed then waits for the whole
# backlog before it; who has an entry already gets a second one, which is refused when it is taken.
LONG_GRACE = timedelta(seconds=30)
BATCH = 500


@dataclass(frozen=True)
class _Look:
    """What is known of a vendor's streams, by Redis' clock: rows may carry the time of any machine."""

    now: datetime
    retries: datetime  # when the first undelivered entry was added; now, where all are delivered
    jobs: datetime
    whole_since: datetime  # nothing that was added since then is lost, as far as anybody knows

    def lost_before(self, of: Stream) -> datetime:
        # An entry of a first try can have been handed back, and then it is in the other stream.
        head = self.retries if of == Stream.RETRIES else min(self.retries, self.jobs)
        return max(head - GRACE, self.whole_since + LONG_GRACE)

    @property
    def queued_at(self) -> datetime:
        """From when on a job counts as queued that is put back now: so that it is not in question a
        second time.
        """
        return max(self.now, self.whole_since + LONG_GRACE)


def requeue(vendor: str) -> int:
    """Add up to BATCH lost entries of each stream of a vendor again; returns how many in the fuller
    one.

    Raises redis.RedisError.
    """
    look = _look(vendor)
    return max(_put_back(vendor, of, look) for of in Stream)


def _look(vendor: str) -> _Look:
    keys = Keys(vendor)
    *times_ms, whole_ms = script("heads")(
        keys=[keys.retries, keys.jobs, keys.intact_since], args=[], client=commands()
    )
    if not whole_ms:
        whole_ms = 0 if _are_whole(vendor) else min(times_ms, key=int)
        commands().set(keys.intact_since, whole_ms, nx=True)
    return _Look(*(datetime.fromtimestamp(int(ms) / 1000, UTC) for ms in (*times_ms, whole_ms)))


def _are_whole(vendor: str) -> bool:
    """Whether those that wait longest have their entries: then nobody has lost his, and it is only
    the first look.
    """
    keys = Keys(vendor)
    entries = {
        fields.get("job")
        for key in (keys.retries, keys.jobs)
        for _, fields in commands().xrange(key, count=BATCH)
    }
    longest = [
        _queued(vendor, of).order_by("queued_at").values_list("pk", flat=True).first()
        for of in Stream
    ]
    return all(job_id in entries for job_id in longest if job_id)


def _put_back(vendor: str, of: Stream, look: _Look) -> int:
    lost_before = look.lost_before(of)
    behind = _queued(vendor, of).filter(queued_at__lt=lost_before)
    job_ids = list(behind.order_by("queued_at").values_list("pk", flat=True)[:BATCH])
    in_flight = _in_flight(vendor, job_ids)
    lost = [job_id for job_id in job_ids if job_id not in in_flight]
    if lost:
        # The entry first: who dies between the two leaves a job with two entries, and none without.
        stream.add(vendor, lost, of)
        lifecycle.requeue_lost(lost, lost_before=lost_before, now=look.queued_at)
        log.warning("%d entries of %s were lost by Redis and are added again", len(lost), vendor)
        counters.count("lost_entries", vendor, len(lost))
    return len(lost)


def _queued(vendor: str, of: Stream) -> QuerySet[Job]:
    return Job.objects.filter(status=Status.QUEUED, vendor=vendor, stream=of, not_before=None)


def _in_flight(vendor: str, job_ids: list[str]) -> set[str]:
    scores = commands().zmscore(Keys(vendor).in_flight, job_ids) if job_ids else []
    return {job_id for job_id, score in zip(job_ids, scores, strict=True) if score is not None}
