"""The moves of a job by callbacks, clients, operators and the sweep."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from jobs.lifecycle.move import NO_DATES, NO_ERROR, Move, completed, failed, queued
from jobs.models import Job, Status, Stream
from vendors.base import Done
from vendors.models import Limit

OVERDUE = "callback_overdue"
GAVE_UP = "poll_gave_up"  # the same, where no callback was expected
OVERDUE_CODES = (OVERDUE, GAVE_UP)
EXPIRED = "expired"
QUOTA_SPENT = "quota_spent"


def complete_by_callback(
    job_id: str, done: Done, *, vendor: str, run: int, attempt: int, now: datetime
) -> Move:
    """Complete the job by a callback for any attempt of its run: that answer was paid for."""
    fence = {"vendor": vendor, "run": run, "attempt__gte": attempt}
    sources = (Status.WAITING, Status.PROCESSING, Status.QUEUED)
    changes = completed(done, now) | NO_DATES
    return Move(job_id, Status.COMPLETE, sources, fence, changes, vendor=vendor, run=run)


def fail_by_callback(
    job_id: str, code: str, message: str, *, vendor: str, run: int, attempt: int, now: datetime
) -> Move:
    """Fail the job by a callback for its current attempt. After an earlier one it may succeed."""
    fence = {"vendor": vendor, "run": run, "attempt": attempt}
    sources = (Status.WAITING, Status.PROCESSING)
    changes = failed(code, message, now)
    return Move(job_id, Status.FAILED, sources, fence, changes, vendor=vendor, run=run)


def retry_by_callback(
    job: Job, *, counts: bool, not_before: datetime | None, now: datetime
) -> Move:
    """Queue a waiting job again, because a callback for its current attempt says that the vendor
    has not done the work. `counts`: whether that counts against max_attempts.
    """
    fence = {"vendor": job.vendor, "run": job.run, "attempt": job.attempt}
    changes = {"failures": job.failures + counts, **queued(now, not_before)}
    return Move(job.pk, Status.QUEUED, (Status.WAITING,), fence, changes)


def overdue(job: Job, *, repeat: bool, now: datetime, code: str = OVERDUE, hint: str = "") -> Move:
    """Queue or fail a job whose answer did not come. `code`: one of OVERDUE_CODES. `hint`: on its
    polls, and on callbacks that were refused.
    """
    fence = {"attempt": job.attempt, "deadline_at": job.deadline_at}
    if repeat:
        changes = {"failures": job.failures + 1, **queued(now)}
        return Move(job.pk, Status.QUEUED, (Status.WAITING,), fence, changes)
    deadline = f"{job.deadline_at:%Y-%m-%d %H:%M:%S} UTC"
    what = "callback did not come" if code == OVERDUE else "result was not there"
    message = f"The vendor accepted the job, but its {what} by {deadline}. {hint}"
    changes = failed(code, message.strip(), now)
    return Move(
        job.pk, Status.FAILED, (Status.WAITING,), fence, changes, vendor=job.vendor, run=job.run
    )


def expire(job: Job, now: datetime) -> Move:
    """Fail a queued job that was not started in time."""
    message = (
        f"The job was not started by {job.deadline_at:%Y-%m-%d %H:%M:%S} UTC, as its expires_in "
        "asked. If it is still wanted, retry it, or post it again with a longer expires_in."
    )
    return _fail_queued(job, EXPIRED, message, now)


def fail_spent(job: Job, limit: Limit, until: datetime, now: datetime) -> Move:
    """Fail a queued job because the quota of a limit is spent. `until`: when it no longer is."""
    message = (
        f"The quota of the limit {limit} is spent until {_ceiling(until):%Y-%m-%d %H:%M:%S} UTC, "
        "and its jobs fail meanwhile. If this one is still wanted, retry it then. To have jobs "
        'wait, set spent = "wait" in the quota.'
    )
    return _fail_queued(job, QUOTA_SPENT, message, now)


def _fail_queued(job: Job, code: str, message: str, now: datetime) -> Move:
    fence, changes = {"run": job.run, "attempt": job.attempt}, failed(code, message, now)
    return Move(
        job.pk, Status.FAILED, (Status.QUEUED,), fence, changes, vendor=job.vendor, run=job.run
    )


def _ceiling(at: datetime) -> datetime:
    """Return the first whole second that is not before a time."""
    return at + timedelta(microseconds=-at.microsecond % 1_000_000)


def cancel(job: Job, now: datetime, *, bulk: str = "") -> Move:
    """Cancel a job that is queued or waiting. A call under way can't be cancelled. `bulk`: the bulk
    action that does it.
    """
    sources, fence = (Status.QUEUED, Status.WAITING), {"run": job.run}
    changes: dict[str, Any] = {"finished_at": now, **NO_DATES}
    if bulk:
        # One that has been called since it was read was passed over as under way.
        fence["attempt"], changes["bulk"] = job.attempt, bulk
    return Move(job.pk, Status.CANCELLED, sources, fence, changes, vendor=job.vendor, run=job.run)


def retry(
    job: Job, now: datetime, *, bulk: str = "", edited: Mapping[str, Any] | None = None
) -> Move:
    """Queue a final job for a new run with fresh counters. The attempts of earlier runs stay.
    `bulk`: the bulk action that does it; its jobs queue behind what waits. `edited`: what a person
    changed of its name and input.
    """
    fresh = {"run": job.run + 1, "failures": 0, "crashes": 0, "result": None, "finished_at": None}
    sources, fence = (Status.FAILED, Status.CANCELLED), {"run": job.run}
    changes: dict[str, Any] = {**fresh, **NO_ERROR, **queued(now), **(edited or {})}
    if bulk:
        changes |= {"stream": Stream.JOBS, "bulk": bulk}
    return Move(job.pk, Status.QUEUED, sources, fence, changes)


def complete_overdue(
    job_id: str, done: Done, *, vendor: str, run: int, attempt: int, now: datetime
) -> Move:
    """Complete a job that failed as overdue, by a stored callback that an operator replays."""
    fence = {"vendor": vendor, "run": run, "attempt__gte": attempt, "error_code__in": OVERDUE_CODES}
    changes = completed(done, now)
    return Move(job_id, Status.COMPLETE, (Status.FAILED,), fence, changes, vendor=vendor)


def enqueue_due(job_ids: Iterable[str], now: datetime) -> int:
    """Queue jobs whose not_before has passed as of now, in the same stream. Returns how many."""
    due = Job.objects.filter(pk__in=job_ids, status=Status.QUEUED, not_before__lte=now)
    return due.update(not_before=None, queued_at=now)


def requeue_lost(job_ids: Iterable[str], *, lost_before: datetime, now: datetime) -> int:
    """Queue jobs whose entry was lost as of now, in the same stream. Returns how many."""
    queued = Job.objects.filter(pk__in=job_ids, status=Status.QUEUED, not_before=None)
    return queued.filter(queued_at__lt=lost_before).update(queued_at=now)
