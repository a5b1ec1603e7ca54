"""The moves of a job by workers. Each is fenced by the attempt's number, so that a worker which was
declared dead changes nothing; all but `release` end that attempt. `repeat`: whether the vendor may
be called again although it may have done the work.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.db.models import F, Q

from jobs.lifecycle.move import Move, completed, failed, queued
from jobs.models import Attempt, Job, Kind, Status
from jobs.retry import OUTCOME_UNKNOWN
from jobs.storage.store import writing
from vendors.base import Accepted, Done, Outcome
from vendors.models import Vendor

MAX_CRASHES = 3
CHARGING = frozenset(("weight", "limits"))  # what a vendor's definition says of charges
NO_KEYS: Mapping[str, str] = MappingProxyType({})
# What an attempt and the moves that end it need. To read all columns takes twice as long.
ATTEMPT_COLUMNS = (
    *("vendor", "input", "status", "run", "attempt", "failures"),
    *("crashes", "worker", "run_token", "started_at", "expires_at", "credential"),
)


def claim(
    job_ids: Sequence[str],
    *,
    worker: str,
    run_token: str,
    now: datetime,
    deadline_at: datetime,
    keys: Mapping[str, str] = NO_KEYS,
) -> list[Job]:
    """Claim those of the jobs that are queued, due and not expired, in one commit. Returns them
    like `claimed`. `keys`: with which key of its vendor's credential a job is called, by id.
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    for job_id in job_ids:
        by_key[keys.get(job_id, "")].append(job_id)
    dates = {"started_at": now, "deadline_at": deadline_at}
    changes = {"status": Status.PROCESSING, "worker": worker, "run_token": run_token, **dates}
    with writing():
        for key, ids in by_key.items():
            queued = Job.objects.filter(pk__in=ids, status=Status.QUEUED, not_before=None)
            due = queued.filter(Q(deadline_at=None) | Q(deadline_at__gt=now))
            due.update(attempt=F("attempt") + 1, credential=key, **changes)
    return claimed(job_ids, run_token)


def claimed(job_ids: Iterable[str], run_token: str) -> list[Job]:
    """Return those of the jobs that were claimed with this run token, with ATTEMPT_COLUMNS."""
    rows = Job.objects.filter(pk__in=job_ids).only(*ATTEMPT_COLUMNS)
    return [job for job in rows if job.run_token == run_token and job.status == Status.PROCESSING]


def note_charge(attempt: Attempt, vendor: Vendor, units: int | None = None) -> None:
    """Note what the call was charged, from which a limit is counted again: units, in the vendor's
    own windows and in its limits. `vendor`: as it was when the call was permitted. `units`: None
    for those of its kind.
    """
    if units is None and attempt.kind == Kind.CALL and CHARGING.isdisjoint(vendor.definition):
        return  # one unit in its own windows, as a new attempt says
    usual = vendor.poll_weight if attempt.kind == Kind.POLL else vendor.weight
    attempt.units = usual if units is None else units
    if names := vendor.limit_names:
        attempt.limits = f",{','.join(names)},"


def complete(job: Job, done: Done, now: datetime) -> Move:
    return _end_attempt(
        job,
        Status.COMPLETE,
        completed(done, now),
        done.outcome,
        now=now,
        cost=done.cost,
        confidence=done.confidence,
    )


def wait(
    job: Job,
    accepted: Accepted,
    *,
    deadline_at: datetime,
    now: datetime,
    next_poll_at: datetime | None = None,
) -> Move:
    reference = accepted.reference
    dates = {"deadline_at": deadline_at, "next_poll_at": next_poll_at}
    return _end_attempt(
        job,
        Status.WAITING,
        {**dates, "vendor_reference": reference},
        Outcome.PENDING,
        now=now,
        cost=accepted.cost,
        vendor_reference=reference,
    )


def fail(job: Job, code: str, message: str, now: datetime) -> Move:
    return _end_attempt(job, Status.FAILED, failed(code, message, now), code, message, now=now)


def retry_later(
    job: Job, code: str, message: str, *, counts: bool, not_before: datetime | None, now: datetime
) -> Move:
    """Queue the job for another attempt. `counts`: whether this one counts against max_attempts."""
    changes = {"failures": job.failures + counts, **queued(now, not_before)}
    return _end_attempt(job, Status.QUEUED, changes, code, message, now=now)


def release(job: Job, now: datetime) -> Move:
    """Queue a job whose call was not made, as if it had not been claimed: it still expires."""
    fence = {"attempt": job.attempt}
    expiry = {"deadline_at": job.expires_at, "expires_at": job.expires_at}
    return Move(job.pk, Status.QUEUED, (Status.PROCESSING,), fence, queued(now) | expiry)


def take_over(job: Job, *, repeat: bool, now: datetime) -> Move:
    """Queue a job of a dead worker, or fail it after too many crashes."""
    message = f"The worker stopped responding during attempt {job.attempt}."
    if not repeat:
        return fail(job, "outcome_unknown", f"{message} {OUTCOME_UNKNOWN}", now)
    if job.crashes >= MAX_CRASHES:
        message += f" This happened {job.crashes + 1} times, so the job is not retried."
        return fail(job, "worker_lost", message, now)
    changes = {"crashes": job.crashes + 1, **queued(now)}
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
    attempt, changes = move.attempt, failed(code, message, now)
    if attempt:
        attempt.outcome, attempt.message, attempt.reply = code, message, None
        attempt.cost = attempt.confidence = None
        attempt.vendor_reference = ""
    return Move(move.job_id, Status.FAILED, move.sources, move.fence, changes, attempt)


def _end_attempt(
    job: Job,
    to: Status,
    changes: dict[str, Any],
    outcome: str,
    message: str = "",
    *,
    now: datetime,
    **answer: Any,
) -> Move:
    """`answer`: what else the attempt's row says of the vendor's answer."""
    attempt = Attempt.new(
        job=job.pk,
        vendor=job.vendor,
        run=job.run,
        number=job.attempt,
        worker=job.worker,
        credential=job.credential,
        started_at=job.started_at or now,
        ended_at=now,
        outcome=outcome[:50],
        message=message[:500],
        **answer,
    )
    return Move(job.pk, to, (Status.PROCESSING,), {"attempt": job.attempt}, changes, attempt)
