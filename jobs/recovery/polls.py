"""Adds entries for polls that are due, so many that the vendors' limits may permit them in time.

An entry names the `next_poll_at` up to which the poll is left to whoever takes it: a lease. If that
passes and the entry is gone, because Redis lost its data or a worker died, the poll is due again.
"""

import logging
import math
from datetime import datetime, timedelta

import redis
from django.db.models import QuerySet

from jobs import lifecycle
from jobs.models import EPOCH, Job, Status
from jobs.queue import limiter, stream
from jobs.queue.clock import redis_clock
from jobs.queue.redis_errors import is_wrong_type
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)

ENTRY_LEASE = timedelta(seconds=30)
MIN_IN_LINE = 10
MAX_IN_LINE = 1000
CHUNK = 500
COLUMNS = ("vendor", "attempt", "next_poll_at", "deadline_at", "vendor_reference")


def add_due_polls() -> int:
    """Add entries for due polls of vendors that are not paused, oldest first. Returns how many."""
    now, count = redis_clock.now(), 0
    for vendor in catalogue.all().values():
        # While a vendor is paused, its polls wait in the rows.
        if not is_polled(vendor) or vendor.is_paused(now):
            continue
        try:
            count += _add(vendor)
        except redis.ResponseError as error:
            if not is_wrong_type(error):
                raise  # else the worker that serves this vendor logs it
    return count


def _add(vendor: Vendor) -> int:
    limit, rows = max_in_line(vendor), _polled_jobs().filter(vendor=vendor.slug)
    # Twice as many: if the line is slow, the leases of those that are in line may be over too.
    due = rows.filter(next_poll_at__lte=redis_clock.now()).order_by("next_poll_at")[: 2 * limit]
    if not (jobs := list(due)):
        return 0
    line = stream.polls_in_line(vendor.slug, limit)
    in_line = set(line)
    missing = [job for job in jobs if (job.pk, str(_due_us(job))) not in in_line]
    return _add_each(vendor, missing[: max(limit - len(line), 0)])


def _polled_jobs() -> QuerySet[Job]:
    """Return the jobs that wait to be polled, as no others have a `next_poll_at`. SQLite considers
    a partial index only if its condition is repeated.
    """
    return Job.objects.filter(next_poll_at__gt=EPOCH).only("vendor", "attempt", "next_poll_at")


def _add_each(vendor: Vendor, jobs: list[Job]) -> int:
    """Move the rows first: after a crash between the two, the polls are due when the lease ends."""
    until = redis_clock.now() + ENTRY_LEASE
    moves = [lifecycle.postpone_poll(job, until) for job in jobs]
    happened = lifecycle.apply(moves) if moves else []
    leased = [move for move, yes in zip(moves, happened, strict=True) if yes]
    if leased:
        due = ((move.job_id, move.changes["next_poll_at"]) for move in leased)
        stream.add_polls(vendor.slug, [(pk, limiter.microseconds(at)) for pk, at in due])
    return len(leased)


def _due_us(job: Job) -> int:
    return limiter.microseconds(job.next_poll_at or EPOCH)


def max_in_line(vendor: Vendor) -> int:
    """Return how many polls of a vendor may be in line: as many as its windows permit within a
    lease, so that a backlog waits in the rows, in order.
    """
    lease_seconds = ENTRY_LEASE.total_seconds()
    permitted = [each.calls * math.ceil(lease_seconds / each.seconds) for each in vendor.windows]
    return max(MIN_IN_LINE, min([MAX_IN_LINE, *permitted]))


def stop_polls() -> int:
    """Leave jobs of vendors that are not polled any more to their deadlines. Returns how many."""
    vendors, stopped, last = catalogue.all(), 0, ""
    while job := _polled_jobs().filter(vendor__gt=last).order_by("vendor").first():
        last = job.vendor
        if last in vendors and "poll" not in vendors[last].definition:
            jobs = _polled_jobs().filter(vendor=last)[:CHUNK]
            stopped += sum(lifecycle.apply([lifecycle.postpone_poll(job, None) for job in jobs]))
    return stopped


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
    """Whether its deadline is ahead, and the request can name what the vendor calls its work."""
    needs_reference = vendor.polling is not None and vendor.polling.needs_reference
    is_ahead = job.deadline_at is None or job.deadline_at > now
    return is_ahead and bool(job.vendor_reference or not needs_reference)


def is_polled(vendor: Vendor) -> bool:
    """Whether a vendor is polled. If its definition can't be read, its polls wait in the rows."""
    try:
        return vendor.polling is not None and vendor.windows is not None
    except ValueError:
        return False
