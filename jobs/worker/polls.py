"""Polls: claims those that were taken, and decides what becomes of their jobs.

The rest of the path is that of other calls. docs/data_path.md describes polls.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs import lifecycle, retry
from jobs.lifecycle import Move
from jobs.models import Attempt, Job, Status, Stream
from jobs.queue import limiter
from jobs.queue.stream import Entry
from jobs.queue.take import Taken
from jobs.worker.execution import Execution
from vendors.base import PERMANENT, Accepted, Done, Outcome, VendorError
from vendors.models import Vendor, counted_since

# For how long a claimed poll is left to its worker, besides the vendor's timeout: it may wait for a
# thread and a permit first, and its answer for being recorded.
LEASE_MARGIN_SECONDS = 30.0
# These say nothing about the job: it waits on, even beyond its deadline.
HELD_BY_VENDOR = (
    *(Outcome.RATE_LIMITED, Outcome.NO_CREDITS, Outcome.AUTH),
    *("api_key_missing", retry.TOKEN_REFUSED),
)


def is_poll(entry: Entry) -> bool:
    return entry.stream == Stream.POLLS


def claim(found: Sequence[tuple[Taken, Entry]], worker: str) -> list[Execution]:
    """Claim the polls of these entries for `worker`, and return those that were won. Raises
    STORE_ERRORS.
    """
    ids = [entry.job_id for _, entry in found]
    rows = Job.objects.filter(pk__in=ids, status=Status.WAITING).only(*lifecycle.POLL_COLUMNS)
    jobs = {job.pk: job for job in rows}
    executions, claims = [], []
    for taken, entry in found:
        job = jobs.get(entry.job_id)
        if job is None or not _names(entry, job):
            continue
        del jobs[entry.job_id]  # a job can have two entries in one round
        lease_seconds = taken.vendor.timeout_seconds + LEASE_MARGIN_SECONDS
        move = lifecycle.postpone_poll(job, taken.now + timedelta(seconds=lease_seconds))
        job.next_poll_at = move.changes["next_poll_at"]
        job.started_at = limiter.moment(entry.charge) if entry.charge else taken.now
        vendor, key = taken.vendor, entry.credential
        poll = lifecycle.new_poll(job, vendor, worker, job.started_at, key)
        claims.append((move, poll))
        executions.append(Execution(taken.vendor, entry, job, taken.asked_at, taken.probe, poll))
    won = lifecycle.claim_polls(claims) if claims else []
    return [execution for execution, yes in zip(executions, won, strict=True) if yes]


def _names(entry: Entry, job: Job) -> bool:
    """Whether this is the entry of the job's next poll."""
    at = job.next_poll_at
    return (
        job.vendor == entry.slug and at is not None and entry.due == str(limiter.microseconds(at))
    )


def move_of(execution: Execution, poll: Attempt, now: datetime) -> Move:
    """Return what becomes of a job that was polled, and set how its poll ended."""
    job, vendor = execution.job, execution.vendor
    poll.started_at, poll.ended_at = job.started_at or poll.started_at, now
    match execution.answer:
        case None:
            return lifecycle.poll_again(job, now, poll, was_called=False)
        case Done() as done:
            poll.outcome, poll.cost, poll.confidence = done.outcome, done.cost, done.confidence
            return lifecycle.complete_by_poll(job, done, poll, now)
        case Accepted() as accepted:
            poll.outcome, poll.cost = Outcome.PENDING, accepted.cost
            at = _next_at(job, vendor, accepted.retry_after, now)
            return lifecycle.poll_again(job, at, poll)
        case VendorError() as error:
            return _move_after_error(execution, error, poll, now)


def _move_after_error(
    execution: Execution, error: VendorError, poll: Attempt, now: datetime
) -> Move:
    job, vendor = execution.job, execution.vendor
    poll.outcome, poll.message, poll.cost = error.code[:50], error.message[:500], error.cost
    poll.reply = error.reply.as_json() if error.reply else None
    if error.restart:
        return _restart(execution, error, poll, now)
    at = _next_at(job, vendor, error.retry_after, now)
    if error.code in HELD_BY_VENDOR:
        return lifecycle.poll_again(job, at or now + _wait(vendor, error.retry_after), poll)
    if error.permanent or error.code in PERMANENT:
        return lifecycle.fail_by_poll(job, error.code, error.message, poll, now)
    return lifecycle.poll_again(job, at, poll)


def _restart(execution: Execution, error: VendorError, poll: Attempt, now: datetime) -> Move:
    """Queue the job for another call, as if this error had been the answer to the last one."""
    job, standing = execution.job, execution.standing
    decision = retry.decide(
        error,
        failures=job.failures,
        vendor=execution.vendor,
        standing=standing,
        chance=random.random(),
    )
    match decision:
        case retry.GiveUp(code, message):
            return lifecycle.fail_by_poll(job, code, message, poll, now)
        case retry.Retry(counts) as later:
            return lifecycle.restart_by_poll(
                job, poll, counts=counts, not_before=later.not_before(now), now=now
            )


def _next_at(
    job: Job, vendor: Vendor, retry_after: timedelta | None, now: datetime
) -> datetime | None:
    """Return when to poll next, at the job's deadline for the last time; None: that was it."""
    at = now + _wait(vendor, retry_after)
    if job.deadline_at is None:
        return at
    return min(at, job.deadline_at) if now < job.deadline_at else None


def _wait(vendor: Vendor, retry_after: timedelta | None) -> timedelta:
    if vendor.polling:
        return vendor.polling.wait(retry_after, is_first=False)
    return retry_after or timedelta()


def forget_old(executions: Sequence[Execution], now: datetime) -> None:
    """Delete polls that neither the history of their jobs nor a limit needs. Raises STORE_ERRORS.

    A limit counts a poll from its permit on, which may have been charged as long after its row was
    written as its lease lasts.
    """
    vendors: dict[str, Vendor] = {}
    jobs: dict[str, list[str]] = defaultdict(list)
    for execution in executions:
        if execution.poll and execution.moved_to == Status.WAITING:
            vendors[execution.vendor.slug] = execution.vendor
            jobs[execution.vendor.slug].append(execution.job.pk)
    for slug, job_ids in jobs.items():
        vendor = vendors[slug]
        lease = timedelta(seconds=vendor.timeout_seconds + LEASE_MARGIN_SECONDS)
        since = counted_since(vendor.windows, vendor.limits, now) - lease
        lifecycle.forget_polls(job_ids, since)
