"""Acts on jobs whose deadline has passed: queued ones have expired, and the answers of waiting ones
did not come.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min

from jobs import failures, lifecycle, tallies
from jobs.callbacks import apply, refusals
from jobs.models import Attempt, Job, Kind, Status
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from vendors.catalogue import catalogue

log = logging.getLogger(__name__)

CHUNK = 500


def resolve_overdue_jobs() -> int:
    """Fail queued jobs that have expired. Fail or retry waiting jobs whose answer never came, as
    their vendor's repeat_overdue says. Returns for how many jobs the deadline had passed.

    Waiting jobs with a `next_poll_at` will be polled once more before that, however late, because
    a pause or an outage may have kept them from it.
    """
    now = redis_clock.now()
    # One query for both: a gateway without such jobs pays for no other. It names no order, which an
    # index over status and deadline could not give.
    overdue = Job.objects.filter(status__in=(Status.QUEUED, Status.WAITING), deadline_at__lte=now)
    jobs = list(overdue.filter(next_poll_at=None)[:CHUNK])
    _expire([job for job in jobs if job.status == Status.QUEUED], now)
    _resolve_waiting([job for job in jobs if job.status == Status.WAITING], now)
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


def _resolve_waiting(jobs: Sequence[Job], now: datetime) -> None:
    if not jobs:
        return
    # A callback that was stored counts, even if its receiver died before applying it.
    apply.apply_for_jobs([job.pk for job in jobs], now)
    hints, polls = refusals.hints(jobs), _polls(jobs)
    moves = [_overdue(job, polls.get(job.pk), hints.get(job.pk, ""), now) for job in jobs]
    for job, move, happened in zip(jobs, moves, lifecycle.apply(moves), strict=True):
        if happened:
            stream.settle(job.vendor, [move.settlement()])
            _log_overdue(job, move)
            tallies.count("callbacks_overdue", job.vendor)


def _log_overdue(job: Job, move: lifecycle.Move) -> None:
    if move.to == Status.FAILED:
        failures.report(job.vendor, move)
    else:
        log.info("job %s of %s will be retried: its answer is overdue", job.pk, job.vendor)


@dataclass
class _Polls:
    """How often and when a job was polled for its latest attempt, as far as its history tells."""

    count: int
    first: datetime
    last: datetime

    def __str__(self) -> str:
        # More may have been deleted (lifecycle.forget_polls).
        times = "once" if self.count == 1 else f"{self.count} times"
        at_least = "at least " if self.count >= lifecycle.KEPT_POLLS else ""
        return f"It was polled {at_least}{times}, from {_text(self.first)} to {_text(self.last)}."


def _polls(jobs: Sequence[Job]) -> dict[str, _Polls]:
    """Return the polls of those jobs that have any."""
    numbers = {job.pk: job.attempt for job in jobs if _is_polled(job)}
    if not numbers:
        return {}
    rows = Attempt.objects.filter(job__in=numbers, kind=Kind.POLL).values("job", "number")
    times = {"count": Count("id"), "first": Min("started_at"), "last": Max("started_at")}
    found = rows.annotate(**times).values_list("job", "number", *times)
    return {job: _Polls(*of) for job, number, *of in found if numbers[job] == number}


def _is_polled(job: Job) -> bool:
    vendor = catalogue.get(job.vendor)
    return vendor is not None and "poll" in vendor.definition


def _overdue(job: Job, polls: _Polls | None, hint: str, now: datetime) -> lifecycle.Move:
    vendor = catalogue.get(job.vendor)
    repeat = vendor is not None and vendor.repeat_overdue and job.failures + 1 < vendor.max_attempts
    expects_callback = vendor is None or vendor.expects_callback
    code = lifecycle.OVERDUE if expects_callback else lifecycle.GAVE_UP
    hint = f"{polls or ''} {hint}".strip()
    return lifecycle.overdue(job, repeat=repeat, now=now, code=code, hint=hint)


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
