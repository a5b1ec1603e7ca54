"""Acts on jobs whose deadline has passed: queued ones have expired, and the callbacks of waiting
ones did not come.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from jobs import failures, lifecycle
from jobs.callbacks import apply, refusals
from jobs.models import Job, Status
from jobs.queue import counters, stream
from jobs.queue.clock import redis_clock
from vendors.catalogue import catalogue

log = logging.getLogger(__name__)

CHUNK = 500


def resolve_overdue_jobs() -> int:
    """Fail queued jobs that have expired. Fail or retry jobs whose callback never came, as their
    vendor's repeat_overdue says. Returns for how many jobs the deadline had passed.
    """
    now = redis_clock.now()
    # One query for both: a gateway without such jobs pays for no other. It names no order, which an
    # index over status and deadline could not give.
    overdue = Job.objects.filter(status__in=(Status.QUEUED, Status.WAITING), deadline_at__lte=now)
    jobs = list(overdue[:CHUNK])
    _expire([job for job in jobs if job.status == Status.QUEUED], now)
    _resolve_callbacks([job for job in jobs if job.status == Status.WAITING], now)
    return len(jobs)


def _expire(jobs: Sequence[Job], now: datetime) -> None:
    """Their entries are dropped when they are taken, like those of cancelled jobs."""
    moves = [lifecycle.expire(job, now) for job in jobs]
    happened = lifecycle.apply(moves) if moves else []
    expired: dict[str, list[str]] = defaultdict(list)
    for job, move, yes in zip(jobs, moves, happened, strict=True):
        if yes:
            expired[job.vendor].append(job.pk)
            failures.report(job.vendor, move)
    for vendor, job_ids in expired.items():
        stream.settle_final(vendor, job_ids)


def _resolve_callbacks(jobs: Sequence[Job], now: datetime) -> None:
    if not jobs:
        return
    # A callback that was stored counts, even if its receiver died before applying it.
    apply.apply_for_jobs([job.pk for job in jobs], now)
    hints = refusals.hints(jobs)
    moves = [_overdue(job, hints.get(job.pk, ""), now) for job in jobs]
    for job, move, happened in zip(jobs, moves, lifecycle.apply(moves), strict=True):
        if happened:
            stream.settle(job.vendor, [move.settlement()])
            _log_overdue(job, move)
            counters.count("callbacks_overdue", job.vendor)


def _log_overdue(job: Job, move: lifecycle.Move) -> None:
    if move.to == Status.FAILED:
        failures.report(job.vendor, move)
    else:
        log.info("job %s of %s will be retried: its callback is overdue", job.pk, job.vendor)


def _overdue(job: Job, hint: str, now: datetime) -> lifecycle.Move:
    vendor = catalogue.get(job.vendor)
    repeat = vendor is not None and vendor.repeat_overdue and job.failures + 1 < vendor.max_attempts
    return lifecycle.overdue(job, repeat=repeat, now=now, hint=hint)
