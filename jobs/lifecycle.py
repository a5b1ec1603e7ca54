"""The moves of a job, and the only module that writes a status (docs/lifecycle.md has the chart).

A move is made as a value and then applied: a conditional update that filters on the id, the
statuses that the job may come from, and a fence. `apply` returns for each move whether it happened.
False means that another process moved the job first; then stop quietly.

The moves by workers come first. They are fenced by the attempt's number, so that a worker which was
declared dead changes nothing; all but `release` end that attempt. The moves by callbacks, clients
and operators follow. `repeat`: whether the vendor may be called again although it may have done the
work.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import F, Q

from jobs.models import FINAL, IN_FLIGHT, Attempt, Job, Status, Stream
from jobs.queue.stream import Entry, Requeue, Settlement
from jobs.retry import OUTCOME_UNKNOWN
from jobs.storage import bulk_writes
from jobs.storage.bulk_writes import Update
from jobs.storage.store import writing

MAX_CRASHES = 3
OVERDUE = "callback_overdue"
EXPIRED = "expired"
# What an attempt and the moves that end it need. To read all columns takes twice as long.
ATTEMPT_COLUMNS = (
    *("vendor", "input", "status", "run", "attempt", "failures"),
    *("crashes", "worker", "run_token", "started_at", "expires_at"),
)
NO_ERROR = {"error_code": "", "error_message": ""}
NO_DATES = {"not_before": None, "deadline_at": None}


def new_token() -> str:
    """Return a unique name for a move, or for the jobs that are claimed together."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Move:
    """One move of one job. It happens if the job has one of the `sources` and meets the `fence`."""

    job_id: str
    to: Status
    sources: tuple[Status, ...]
    fence: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    attempt: Attempt | None = None  # that it ends
    token: str = field(default_factory=new_token)  # recognises the move if it is applied again

    def update(self) -> Update:
        condition = {"status__in": self.sources, **self.fence}
        return Update(self.job_id, condition, {"status": self.to, **self.changes}, self.token)

    def settlement(self, entry: Entry | None = None, *, refunds: bool = False) -> Settlement:
        """Return how to settle the job in Redis once the move has happened."""
        needs_entry = self.to == Status.QUEUED and self.changes["not_before"] is None
        requeue = Requeue.ALWAYS if needs_entry else Requeue.NO
        leaves = {"frees_slot": self.to not in IN_FLIGHT, "is_final": self.to in FINAL}
        return Settlement(self.job_id, entry, **leaves, refunds=refunds, requeue=requeue)


def claim(
    job_ids: Iterable[str], *, worker: str, run_token: str, now: datetime, deadline_at: datetime
) -> list[Job]:
    """Claim those of the jobs that are queued, due and not expired. Returns them like `claimed`."""
    queued = Job.objects.filter(pk__in=job_ids, status=Status.QUEUED, not_before=None)
    due = queued.filter(Q(deadline_at=None) | Q(deadline_at__gt=now))
    dates = {"started_at": now, "deadline_at": deadline_at}
    changes = {"status": Status.PROCESSING, "worker": worker, "run_token": run_token, **dates}
    with writing():
        due.update(attempt=F("attempt") + 1, **changes)
    return claimed(job_ids, run_token)


def claimed(job_ids: Iterable[str], run_token: str) -> list[Job]:
    """Return those of the jobs that were claimed with this run token, with ATTEMPT_COLUMNS."""
    rows = Job.objects.filter(pk__in=job_ids).only(*ATTEMPT_COLUMNS)
    return [job for job in rows if job.run_token == run_token and job.status == Status.PROCESSING]


def apply(moves: Sequence[Move]) -> list[bool]:
    """Apply the moves in one commit and return for each whether it happened."""
    with writing():
        happened = bulk_writes.update_each([move.update() for move in moves])
        results = zip(moves, happened, strict=True)
        if attempts := [move.attempt for move, yes in results if yes and move.attempt]:
            bulk_writes.insert_each(attempts)
    return happened


def complete(job: Job, result: dict[str, Any], now: datetime) -> Move:
    return _end_attempt(job, Status.COMPLETE, _completed(result, now), "done", now=now)


def wait(job: Job, *, deadline_at: datetime, now: datetime) -> Move:
    return _end_attempt(job, Status.WAITING, {"deadline_at": deadline_at}, "accepted", now=now)


def fail(job: Job, code: str, message: str, now: datetime) -> Move:
    return _end_attempt(job, Status.FAILED, _failed(code, message, now), code, message, now=now)


def retry_later(
    job: Job, code: str, message: str, *, counts: bool, not_before: datetime | None, now: datetime
) -> Move:
    """Queue the job for another attempt. `counts`: whether this one counts against max_attempts."""
    changes = {"failures": job.failures + counts, **_queued(now)}
    if not_before:
        # Its entry is added then. Before that, the sweep must not consider it lost.
        changes |= {"not_before": not_before, "queued_at": not_before}
    return _end_attempt(job, Status.QUEUED, changes, code, message, now=now)


def release(job: Job, now: datetime) -> Move:
    """Queue a job whose call was not made, as if it had not been claimed: it still expires."""
    fence = {"attempt": job.attempt}
    expiry = {"deadline_at": job.expires_at, "expires_at": job.expires_at}
    return Move(job.pk, Status.QUEUED, (Status.PROCESSING,), fence, _queued(now) | expiry)


def take_over(job: Job, *, repeat: bool, now: datetime) -> Move:
    """Queue a job of a dead worker, or fail it after too many crashes."""
    message = f"The worker stopped responding during attempt {job.attempt}."
    if not repeat:
        return fail(job, "outcome_unknown", f"{message} {OUTCOME_UNKNOWN}", now)
    if job.crashes >= MAX_CRASHES:
        message += f" This happened {job.crashes + 1} times, so the job is not retried."
        return fail(job, "worker_lost", message, now)
    changes = {"crashes": job.crashes + 1, **_queued(now)}
    return _end_attempt(job, Status.QUEUED, changes, "worker_lost", message, now=now)


def interrupt(job: Job, *, repeat: bool, now: datetime) -> Move:
    """Queue a job whose call is under way when its worker shuts down. It counts as no failure."""
    message = f"The worker was stopped during attempt {job.attempt}."
    if not repeat:
        return fail(job, "outcome_unknown", f"{message} {OUTCOME_UNKNOWN}", now)
    return retry_later(job, "worker_stopped", message, counts=False, not_before=None, now=now)


def not_storable(move: Move, reason: str, now: datetime) -> Move:
    """Fail the job in place of a move that the store refuses, so that it is not retried forever."""
    code, message = "not_storable", f"The vendor's answer could not be stored ({reason})."
    attempt, changes = move.attempt, _failed(code, message, now)
    if attempt:
        attempt.outcome, attempt.message, attempt.reply = code, message, None
    return Move(move.job_id, Status.FAILED, move.sources, move.fence, changes, attempt)


def complete_by_callback(
    job_id: str, result: dict[str, Any], *, vendor: str, run: int, attempt: int, now: datetime
) -> Move:
    """Complete the job by a callback for any attempt of its run: that answer was paid for."""
    fence = {"vendor": vendor, "run": run, "attempt__gte": attempt}
    sources = (Status.WAITING, Status.PROCESSING, Status.QUEUED)
    return Move(job_id, Status.COMPLETE, sources, fence, _completed(result, now) | NO_DATES)


def fail_by_callback(
    job_id: str, code: str, message: str, *, vendor: str, run: int, attempt: int, now: datetime
) -> Move:
    """Fail the job by a callback for its current attempt. After an earlier one it may succeed."""
    fence = {"vendor": vendor, "run": run, "attempt": attempt}
    sources = (Status.WAITING, Status.PROCESSING)
    return Move(job_id, Status.FAILED, sources, fence, _failed(code, message, now))


def overdue(job: Job, *, repeat: bool, now: datetime, hint: str = "") -> Move:
    """Queue or fail a job whose callback did not come. `hint`: on those that were refused."""
    fence = {"attempt": job.attempt, "deadline_at": job.deadline_at}
    if repeat:
        changes = {"failures": job.failures + 1, **_queued(now)}
        return Move(job.pk, Status.QUEUED, (Status.WAITING,), fence, changes)
    deadline = f"{job.deadline_at:%Y-%m-%d %H:%M:%S} UTC"
    message = f"The vendor accepted the job, but its callback did not come by {deadline}. {hint}"
    changes = _failed(OVERDUE, message.strip(), now)
    return Move(job.pk, Status.FAILED, (Status.WAITING,), fence, changes)


def expire(job: Job, now: datetime) -> Move:
    """Fail a queued job that was not started in time."""
    fence = {"run": job.run, "attempt": job.attempt}
    message = (
        f"The job was not started by {job.deadline_at:%Y-%m-%d %H:%M:%S} UTC, as its expires_in "
        "asked. If it is still wanted, retry it, or post it again with a longer expires_in."
    )
    return Move(job.pk, Status.FAILED, (Status.QUEUED,), fence, _failed(EXPIRED, message, now))


def cancel(job: Job, now: datetime) -> Move:
    """Cancel a job that is queued or waiting. A call under way can't be cancelled."""
    sources, fence = (Status.QUEUED, Status.WAITING), {"run": job.run}
    return Move(job.pk, Status.CANCELLED, sources, fence, {"finished_at": now, **NO_DATES})


def retry(job: Job, now: datetime) -> Move:
    """Queue a final job for a new run with fresh counters. The attempts of earlier runs stay."""
    fresh = {"run": job.run + 1, "failures": 0, "crashes": 0, "result": None, "finished_at": None}
    sources, fence = (Status.FAILED, Status.CANCELLED), {"run": job.run}
    return Move(job.pk, Status.QUEUED, sources, fence, {**fresh, **NO_ERROR, **_queued(now)})


def complete_overdue(
    job_id: str, result: dict[str, Any], *, vendor: str, run: int, attempt: int, now: datetime
) -> Move:
    """Complete a job that failed as overdue, by a stored callback that an operator replays."""
    fence = {"vendor": vendor, "run": run, "attempt__gte": attempt, "error_code": OVERDUE}
    changes = {"result": result, "finished_at": now, **NO_ERROR}
    return Move(job_id, Status.COMPLETE, (Status.FAILED,), fence, changes)


def enqueue_due(job_ids: Iterable[str], now: datetime) -> int:
    """Queue jobs whose not_before has passed as of now, in the same stream. Returns how many."""
    due = Job.objects.filter(pk__in=job_ids, status=Status.QUEUED, not_before__lte=now)
    return due.update(not_before=None, queued_at=now)


def requeue_lost(job_ids: Iterable[str], *, lost_before: datetime, now: datetime) -> int:
    """Queue jobs whose entry was lost as of now, in the same stream. Returns how many."""
    queued = Job.objects.filter(pk__in=job_ids, status=Status.QUEUED, not_before=None)
    return queued.filter(queued_at__lt=lost_before).update(queued_at=now)


def _queued(now: datetime) -> dict[str, Any]:
    return {"stream": Stream.RETRIES, "queued_at": now, "expires_at": None, **NO_DATES}


def _completed(result: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {"result": result, "finished_at": now, "deadline_at": None, **NO_ERROR}


def _failed(code: str, message: str, now: datetime) -> dict[str, Any]:
    error = {"error_code": code[:50], "error_message": message[:500]}
    return {**error, "finished_at": now, **NO_DATES}


def _end_attempt(
    job: Job, to: Status, changes: dict[str, Any], outcome: str, message: str = "", *, now: datetime
) -> Move:
    attempt = Attempt(job=job.pk, vendor=job.vendor, run=job.run, number=job.attempt)
    attempt.worker, attempt.outcome, attempt.message = job.worker, outcome[:50], message[:500]
    attempt.started_at, attempt.ended_at = job.started_at or now, now
    return Move(job.pk, to, (Status.PROCESSING,), {"attempt": job.attempt}, changes, attempt)
