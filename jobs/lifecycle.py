"""The moves of a job, and the only place that writes a status (docs/lifecycle.md has the chart).

A move is made as a value and then applied: a conditional update that filters on the id, on the
statuses that the job may come from and on the fence. `apply` says of each move whether it happened;
False means that somebody else was there first, and the loser stops quietly.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import F

from jobs.models import IN_FLIGHT, Attempt, Job, Status, Stream
from jobs.queue.stream import Entry, Requeue, Settlement
from jobs.retry import NOT_AGAIN
from jobs.storage import bulk_writes
from jobs.storage.bulk_writes import Update
from jobs.storage.store import writing

MAX_CRASHES = 3
# What a try, and the move that ends it, need of their job; to read the rest, too, takes twice as
# long.
OF_A_TRY = (
    "vendor",
    "input",
    "status",
    "run",
    "attempt",
    "failures",
    "crashes",
    "worker",
    "run_token",
    "started_at",
)


def new_token() -> str:
    """Return a fresh name for a move, or for a batch of jobs that start together."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Move:
    """One step in the life of one job: what must hold before, what holds afterwards, and the try
    that it ends.
    """

    job_id: str
    to: Status
    come_from: tuple[Status, ...]
    fence: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    attempt: Attempt | None = None
    token: str = field(default_factory=new_token)  # so that it is recognised when it is made again

    def update(self) -> Update:
        condition = {"status__in": self.come_from, **self.fence}
        return Update(self.job_id, condition, {"status": self.to, **self.changes}, self.token)

    def settlement(self, entry: Entry | None = None, *, refunds: bool = False) -> Settlement:
        """Return what Redis is to be told once the move has happened: whether its slot is free,
        whether it needs an entry.
        """
        in_stream = self.to == Status.QUEUED and self.changes["not_before"] is None
        again = Requeue.ALWAYS if in_stream else Requeue.NO
        return Settlement(
            self.job_id, entry, frees_slot=self.to not in IN_FLIGHT, refunds=refunds, requeue=again
        )


def claim(
    job_ids: Iterable[str], *, worker: str, run_token: str, now: datetime, deadline_at: datetime
) -> list[Job]:
    """Start those jobs that are queued and due, and return them; the others were somebody else's."""
    with writing():
        Job.objects.filter(pk__in=job_ids, status=Status.QUEUED, not_before=None).update(
            status=Status.PROCESSING,
            attempt=F("attempt") + 1,
            worker=worker,
            run_token=run_token,
            started_at=now,
            deadline_at=deadline_at,
        )
    return claimed(job_ids, run_token)


def claimed(job_ids: Iterable[str], run_token: str) -> list[Job]:
    """Return those of the jobs that the batch named by `run_token` has started, with what a try
    needs of them.
    """
    rows = Job.objects.filter(pk__in=job_ids).only(*OF_A_TRY)
    return [job for job in rows if job.run_token == run_token and job.status == Status.PROCESSING]


def apply(moves: Sequence[Move]) -> list[bool]:
    """Make the moves in one commit and return for each whether it happened."""
    with writing():
        happened = bulk_writes.update_each([move.update() for move in moves])
        attempts = [
            move.attempt for move, yes in zip(moves, happened, strict=True) if yes and move.attempt
        ]
        if attempts:
            bulk_writes.insert_each(attempts)
    return happened


def is_possible(move: Move) -> bool:
    """Whether the move would happen now."""
    return Job.objects.filter(pk=move.job_id, status__in=move.come_from, **move.fence).exists()


# What a worker says of a try. Only the attempt that is being made may say it: a worker presumed
# dead changes nothing.


def complete(job: Job, result: dict[str, Any], now: datetime) -> Move:
    changes = {"result": result, "finished_at": now, "deadline_at": None, **NO_ERROR}
    return _ends_attempt(job, Status.COMPLETE, changes, outcome="done", now=now)


def wait(job: Job, *, deadline_at: datetime, now: datetime) -> Move:
    return _ends_attempt(
        job, Status.WAITING, {"deadline_at": deadline_at}, outcome="accepted", now=now
    )


def fail(job: Job, code: str, message: str, now: datetime) -> Move:
    return _ends_attempt(
        job, Status.FAILED, _failed(code, message, now), outcome=code, message=message, now=now
    )


def retry_later(
    job: Job, code: str, message: str, *, counts: bool, not_before: datetime | None, now: datetime
) -> Move:
    """Another try, at once or not before a time. `counts`: whether this try counts against
    max_attempts.
    """
    # queued_at says when its entry is there: not before then, so that the sweep does not miss it
    # earlier.
    held_back = {"not_before": not_before, "queued_at": not_before} if not_before else {}
    changes = {"failures": job.failures + counts, **_queued(Stream.RETRIES, now), **held_back}
    return _ends_attempt(job, Status.QUEUED, changes, outcome=code, message=message, now=now)


def release(job: Job, now: datetime) -> Move:
    """The call was never made: the job goes back as if it had not been started."""
    return Move(
        job.pk,
        Status.QUEUED,
        (Status.PROCESSING,),
        {"attempt": job.attempt},
        _queued(Stream.RETRIES, now),
    )


def take_over(job: Job, *, repeat: bool, now: datetime) -> Move:
    """The worker is dead. `repeat`: whether the vendor may be called again, though it may have done
    the work.
    """
    message = f"The worker stopped responding during attempt {job.attempt}."
    if not repeat:
        return fail(job, "outcome_unknown", f"{message} {NOT_AGAIN}", now)
    if job.crashes >= MAX_CRASHES:
        message += f" This happened {job.crashes + 1} times, so the job is not tried again."
        return fail(job, "worker_lost", message, now)
    changes = {"crashes": job.crashes + 1, **_queued(Stream.RETRIES, now)}
    return _ends_attempt(
        job, Status.QUEUED, changes, outcome="worker_lost", message=message, now=now
    )


def interrupt(job: Job, *, repeat: bool, now: datetime) -> Move:
    """The worker is told to stop, and the call is still under way. `repeat` as in take_over; it
    counts as nothing.
    """
    message = f"The worker was stopped during attempt {job.attempt}."
    if not repeat:
        return fail(job, "outcome_unknown", f"{message} {NOT_AGAIN}", now)
    return retry_later(job, "worker_stopped", message, counts=False, not_before=None, now=now)


def not_storable(move: Move, reason: str, now: datetime) -> Move:
    """In place of a move that the store refuses to write down: the job fails instead of being tried
    for ever.
    """
    code, message = "not_storable", f"The vendor's answer could not be stored ({reason})."
    if move.attempt:
        move.attempt.outcome, move.attempt.message, move.attempt.reply = code, message, None
    return Move(
        move.job_id,
        Status.FAILED,
        move.come_from,
        move.fence,
        _failed(code, message, now),
        move.attempt,
    )


def keep_attempt(move: Move) -> None:
    """Keep the record of a try whose job somebody else has moved meanwhile, as a callback does that
    outruns the answer.
    """
    attempt = move.attempt
    if attempt and not Attempt.objects.filter(job=attempt.job, number=attempt.number).exists():
        attempt.save(force_insert=True)


# What others do with a job.


def complete_by_callback(
    job_id: str, result: dict[str, Any], *, vendor: str, run: int, attempt: int, now: datetime
) -> Move:
    """A callback for any attempt of the current run ends the job, wherever it is: that answer was
    paid for.
    """
    changes = {
        "result": result,
        "finished_at": now,
        "deadline_at": None,
        "not_before": None,
        **NO_ERROR,
    }
    come_from = (Status.WAITING, Status.PROCESSING, Status.QUEUED)
    return Move(
        job_id,
        Status.COMPLETE,
        come_from,
        {"vendor": vendor, "run": run, "attempt__gte": attempt},
        changes,
    )


def fail_by_callback(
    job_id: str, code: str, message: str, *, vendor: str, run: int, attempt: int, now: datetime
) -> Move:
    """A callback that reports a failure fails only the attempt that it answers: a later one may
    still succeed.
    """
    fence = {"vendor": vendor, "run": run, "attempt": attempt}
    return Move(
        job_id,
        Status.FAILED,
        (Status.WAITING, Status.PROCESSING),
        fence,
        _failed(code, message, now),
    )


def complete_overdue(
    job_id: str, result: dict[str, Any], *, vendor: str, run: int, attempt: int, now: datetime
) -> Move:
    """A stored callback that came after its deadline, applied by an operator to the job that failed
    for the lack of it.
    """
    changes = {"result": result, "finished_at": now, **NO_ERROR}
    fence = {
        "vendor": vendor,
        "run": run,
        "attempt__gte": attempt,
        "error_code": "callback_overdue",
    }
    return Move(job_id, Status.COMPLETE, (Status.FAILED,), fence, changes)


def overdue(job: Job, *, repeat: bool, now: datetime, hint: str = "") -> Move:
    """The callback never came. `repeat`: whether to call the vendor again. `hint`: of those that
    came and did not count.
    """
    message = f"The vendor took the job, but its callback did not come by {job.deadline_at:%Y-%m-%d %H:%M:%S} UTC. {hint}"
    fence = {"attempt": job.attempt, "deadline_at": job.deadline_at}
    if repeat:
        changes = {"failures": job.failures + 1, **_queued(Stream.RETRIES, now)}
        return Move(job.pk, Status.QUEUED, (Status.WAITING,), fence, changes)
    return Move(
        job.pk,
        Status.FAILED,
        (Status.WAITING,),
        fence,
        _failed("callback_overdue", message.strip(), now),
    )


def cancel(job: Job, now: datetime) -> Move:
    """A call under way can't be taken back; a job that is queued or waits for its callback can be
    cancelled.
    """
    changes = {"finished_at": now, "not_before": None, "deadline_at": None}
    return Move(
        job.pk, Status.CANCELLED, (Status.QUEUED, Status.WAITING), {"run": job.run}, changes
    )


def retry(job: Job, now: datetime) -> Move:
    """An operator's retry: a new run with fresh counters; the attempts of earlier runs stay."""
    fresh = {"run": job.run + 1, "failures": 0, "crashes": 0, "result": None, "finished_at": None}
    changes = {**fresh, **NO_ERROR, **_queued(Stream.RETRIES, now)}
    return Move(job.pk, Status.QUEUED, (Status.FAILED, Status.CANCELLED), {"run": job.run}, changes)


# What keeps a queued job's entry in its stream true; the status stays.


def enqueue_due(job_ids: Iterable[str], now: datetime) -> int:
    """Jobs whose not_before has passed go into the stream `again`; returns how many did."""
    due = Job.objects.filter(pk__in=job_ids, status=Status.QUEUED, not_before__lte=now)
    return due.update(not_before=None, stream=Stream.RETRIES, queued_at=now)


def requeue_lost(job_ids: Iterable[str], *, lost_before: datetime, now: datetime) -> int:
    """Jobs whose entry was lost are queued as of now, in the stream that they were in; returns how
    many are.
    """
    lost = Job.objects.filter(
        pk__in=job_ids, status=Status.QUEUED, not_before=None, queued_at__lt=lost_before
    )
    return lost.update(queued_at=now)


NO_ERROR = {"error_code": "", "error_message": ""}


def _queued(stream: Stream, now: datetime) -> dict[str, Any]:
    return {"stream": stream, "queued_at": now, "not_before": None, "deadline_at": None}


def _failed(code: str, message: str, now: datetime) -> dict[str, Any]:
    error = {"error_code": code[:50], "error_message": message[:500]}
    return {**error, "finished_at": now, "not_before": None, "deadline_at": None}


def _ends_attempt(
    job: Job, to: Status, changes: dict[str, Any], *, outcome: str, message: str = "", now: datetime
) -> Move:
    attempt = Attempt(
        job=job.pk,
        vendor=job.vendor,
        run=job.run,
        number=job.attempt,
        worker=job.worker,
        started_at=job.started_at or now,
        ended_at=now,
        outcome=outcome[:50],
        message=message[:500],
    )
    return Move(job.pk, to, (Status.PROCESSING,), {"attempt": job.attempt}, changes, attempt)
