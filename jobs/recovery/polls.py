"""Adds entries for polls that are due, so many that the vendors' limits may permit them in time.

An entry names the `next_poll_at` up to which the poll is left to whoever takes it: a lease. If that
passes and the entry is gone, because Redis lost its data or a worker died, the poll is due again.
"""

import logging
import math
from collections.abc import Collection
from datetime import datetime, timedelta

import redis
from django.db.models import QuerySet

from jobs import lifecycle
from jobs.models import EPOCH, Job, Status
from jobs.queue import limiter, stream
from jobs.queue.buckets import buckets_of
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.queue.redis_errors import is_wrong_type
from jobs.queue.vendor_keys import poll_streams
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)

ENTRY_LEASE = timedelta(seconds=30)
MIN_IN_LINE = 10
MAX_IN_LINE = 1000
CHUNK = 500
COLUMNS = ("vendor", "credential", "attempt", "next_poll_at", "deadline_at", "vendor_reference")


def add_due_polls() -> int:
    """Add entries for due polls of vendors that are not paused, oldest first. Returns how many."""
    now, count = redis_clock.now(), 0
    for vendor in catalogue.all().values():
        # While a vendor is paused, its polls wait in the rows, and so do those of a paused key.
        if not is_polled(vendor) or not vendor.allows_polls(now):
            continue
        try:
            count += sum(_add(vendor, of, key) for of, key in _lines(vendor, now))
        except redis.ResponseError as error:
            if not is_wrong_type(error):
                raise  # else the worker that serves this vendor logs it
    return count


def _lines(vendor: Vendor, now: datetime) -> list[tuple[str, str]]:
    """Return with which key jobs are polled: pairs of a job's `credential` and of a key that may be
    used for polls. Jobs that were called before there were keys are polled with the first.

    The variables of the keys may be set only where the workers run that serve the vendor.
    """
    if vendor.credential is None:
        return [("", "")]
    first, *others = vendor.credential.pool(now, anywhere=True)
    # There is one token, by whatever name it was known. Its calls and polls count together.
    of_others = [(key.name, first if vendor.credential.grant else key) for key in others]
    lines = [("", first), (first.name, first), *of_others]
    return [(of, key.name) for of, key in lines if key.polls]


def _add(vendor: Vendor, of: str, key: str) -> int:
    """Add entries for due polls of jobs with the `credential` `of`."""
    limit = max_in_line(vendor, key)
    rows = _polled_jobs().filter(vendor=vendor.slug, credential=of)
    # Twice as many: if the line is slow, the leases of those that are in line may be over too.
    due = rows.filter(next_poll_at__lte=redis_clock.now()).order_by("next_poll_at")[: 2 * limit]
    if not (jobs := list(due)):
        return 0
    line = stream.polls_in_line(vendor.slug, limit, credential=key)
    in_line = set(line)
    missing = [job for job in jobs if (job.pk, str(_due_us(job))) not in in_line]
    return _add_each(vendor, missing[: max(limit - len(line), 0)], key)


def _polled_jobs() -> QuerySet[Job]:
    """Return the jobs that wait to be polled, as no others have a `next_poll_at`. SQLite considers
    a partial index only if its condition is repeated.
    """
    rows = Job.objects.filter(next_poll_at__gt=EPOCH)
    return rows.only("vendor", "credential", "attempt", "next_poll_at")


def _add_each(vendor: Vendor, jobs: list[Job], key: str) -> int:
    """Move the rows first: after a crash between the two, the polls are due when the lease ends."""
    until = redis_clock.now() + ENTRY_LEASE
    moves = [lifecycle.postpone_poll(job, until) for job in jobs]
    happened = lifecycle.apply(moves) if moves else []
    leased = [move for move, yes in zip(moves, happened, strict=True) if yes]
    if leased:
        due = ((move.job_id, move.changes["next_poll_at"]) for move in leased)
        stream.add_polls(
            vendor.slug, [(pk, limiter.microseconds(at)) for pk, at in due], credential=key
        )
    return len(leased)


def _due_us(job: Job) -> int:
    return limiter.microseconds(job.next_poll_at or EPOCH)


def max_in_line(vendor: Vendor, key: str = "") -> int:
    """Return how many polls with this key may be in line: as many as the vendor's limits permit
    within a lease, so that a backlog waits in the rows, in order.
    """
    if not (units := vendor.poll_weight):
        return MAX_IN_LINE
    lease_seconds, buckets = ENTRY_LEASE.total_seconds(), buckets_of(vendor).of(key)
    permitted = [
        window.calls * math.ceil(lease_seconds / window.seconds)
        for bucket in buckets
        for window in bucket.windows
    ]
    permitted += [bucket.quota.calls for bucket in buckets if bucket.quota]
    return max(MIN_IN_LINE, min([MAX_IN_LINE, *(number // units for number in permitted)]))


def stop_polls() -> int:
    """Leave jobs that can't be polled any more to their deadlines: those of vendors that are not
    polled, and those whose key is unknown. Returns how many.
    """
    vendors, stopped, last = catalogue.all(), 0, ""
    while job := _polled_jobs().filter(vendor__gt=last).order_by("vendor").first():
        last = job.vendor
        if last not in vendors:
            continue
        if "poll" not in vendors[last].definition:
            stopped += _stop(_polled_jobs().filter(vendor=last))
        elif is_polled(vendors[last]):
            stopped += _stop_without_key(vendors[last])
    return stopped


def _stop_without_key(vendor: Vendor) -> int:
    key, stopped, known = "", 0, _known_keys(vendor)
    jobs = _polled_jobs().filter(vendor=vendor.slug)
    while job := jobs.filter(credential__gt=key).order_by("credential").first():
        key = job.credential
        if key not in known and (count := _stop(jobs.filter(credential=key))):
            stopped += count
            text = "%d jobs of %s are not polled: it has no key %s, with which they were called"
            log.warning(text, count, vendor, key)
    return stopped


def _stop(jobs: QuerySet[Job]) -> int:
    return sum(lifecycle.apply([lifecycle.postpone_poll(job, None) for job in jobs[:CHUNK]]))


def _known_keys(vendor: Vendor) -> list[str]:
    """Return what a polled job's `credential` may be."""
    return ["", *(vendor.credential.key_names if vendor.credential else [])]


class UnreadStreams:
    """Deletes streams of polls that nobody reads any more: those of keys that a credential has lost
    and, of a vendor that has a credential now, that of polls without a key.

    Goes through the keys in Redis, some of them at a time.
    """

    def __init__(self) -> None:
        self._cursor = 0

    def step(self) -> int:
        """Raises redis.RedisError."""
        redis_client, polls = commands(), Keys("*").polls
        self._cursor, found = redis_client.scan(self._cursor, match=f"{polls}*", count=CHUNK)
        vendors = {Keys(slug).polls: vendor for slug, vendor in catalogue.all().items()}
        for name in found:
            vendor = vendors.get(name.partition(":polls")[0] + ":polls")
            if vendor and is_polled(vendor) and name not in _streams_read(vendor):
                redis_client.unlink(name)
        return 0


def _streams_read(vendor: Vendor) -> Collection[str]:
    streams = poll_streams(vendor)
    if vendor.credential:
        del streams[""]
    return streams.values()


class UnpolledJobs:
    """Has jobs polled that began to wait while their vendor was not.

    Goes through the waiting jobs of vendors that are polled, a chunk of each vendor at a time.
    """

    def __init__(self) -> None:
        self._last: dict[str, str] = {}  # the ids where the last chunks ended

    def step(self) -> int:
        """Make their polls due. Returns CHUNK if there were any, else 0."""
        polled = [vendor for vendor in catalogue.all().values() if is_polled(vendor)]
        return CHUNK if [vendor for vendor in polled if self._begin(vendor)] else 0

    def _begin(self, vendor: Vendor) -> bool:
        now, last = redis_clock.now(), self._last.get(vendor.slug, "")
        waiting = Job.objects.filter(vendor=vendor.slug, status=Status.WAITING, pk__gt=last)
        chunk = list(waiting.order_by("pk").only(*COLUMNS)[:CHUNK])
        self._last[vendor.slug] = chunk[-1].pk if len(chunk) == CHUNK else ""
        unpolled = [job for job in chunk if job.next_poll_at is None]
        moves = [
            lifecycle.postpone_poll(job, now)
            for job in unpolled
            if _can_be_polled(job, vendor, now)
        ]
        return bool(moves and any(lifecycle.apply(moves)))


def _can_be_polled(job: Job, vendor: Vendor, now: datetime) -> bool:
    """Whether its deadline is ahead, its key is known, and the request can name what the vendor
    calls its work.
    """
    needs_reference = vendor.polling is not None and vendor.polling.needs_reference
    is_ahead = job.deadline_at is None or job.deadline_at > now
    has_key = job.credential in _known_keys(vendor)
    return is_ahead and has_key and bool(job.vendor_reference or not needs_reference)


def is_polled(vendor: Vendor) -> bool:
    """Whether a vendor is polled. If its definition, a limit or its credential can't be read, its
    polls wait in the rows.
    """
    try:
        if vendor.polling is None or not buckets_of(vendor):
            return False
        return vendor.credential is None or bool(vendor.credential.scheme)
    except ValueError:
        return False
