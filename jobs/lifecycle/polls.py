"""The moves of a waiting job by polls (docs/decisions/0030-polls.md).

`next_poll_at` is the fence. The sweep moves it ahead by a lease and adds an entry that names it. A
worker that takes the entry moves it ahead once more, which claims the poll. If nobody records an
answer by then, the job is due again. A poll has an Attempt row from its claim on, because its call
counts in the vendor's windows whatever becomes of the worker.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from jobs.lifecycle.attempts import ATTEMPT_COLUMNS, note_charge
from jobs.lifecycle.move import NO_DATES, Move, completed, failed, queued
from jobs.models import UNKNOWN, Attempt, Job, Kind, Status
from jobs.storage import bulk_writes
from jobs.storage.store import writing
from vendors.base import Done
from vendors.models import Vendor

WAITING = (Status.WAITING,)
POLL_COLUMNS = (*ATTEMPT_COLUMNS, "vendor_reference", "next_poll_at", "deadline_at")
KEPT_POLLS = 20  # of each job; more within the vendor's longest window


def postpone_poll(job: Job, until: datetime | None) -> Move:
    """Leave the next poll of a waiting job to a later time, which both stores keep to the
    millisecond; None: do not poll it any more. `job.next_poll_at` is what the row should hold.
    """
    fence = {"attempt": job.attempt, "next_poll_at": job.next_poll_at}
    return Move(job.pk, Status.WAITING, WAITING, fence, {"next_poll_at": in_ms(until)})


def in_ms(at: datetime | None) -> datetime | None:
    return at and at.replace(microsecond=at.microsecond // 1000 * 1000)


def new_poll(job: Job, vendor: Vendor, worker: str, started_at: datetime, key: str = "") -> Attempt:
    """Return an unsaved attempt for a poll under way. `key`: of the vendor's credential."""
    call = {"kind": Kind.POLL, "worker": worker, "outcome": UNKNOWN, "credential": key}
    times = {"started_at": started_at, "ended_at": started_at}
    of_job = {"vendor": job.vendor, "run": job.run, "number": job.attempt}
    poll = Attempt.new(job=job.pk, **of_job, **call, **times)
    note_charge(poll, vendor)
    return poll


def claim_polls(claims: Sequence[tuple[Move, Attempt]]) -> list[bool]:
    """Apply moves made by `postpone_poll`, and insert the attempts of those that happened, in one
    commit.
    """
    with writing():
        happened = bulk_writes.update_each([move.update() for move, _ in claims])
        results = zip(claims, happened, strict=True)
        if attempts := [attempt for (_, attempt), yes in results if yes]:
            bulk_writes.insert_each(attempts)
            for attempt in attempts:
                attempt._state.adding = False
    return happened


def complete_by_poll(job: Job, done: Done, attempt: Attempt, now: datetime) -> Move:
    """Complete the job. Fenced by its attempt alone: the answer was paid for."""
    changes = completed(done, now) | NO_DATES
    return Move(job.pk, Status.COMPLETE, WAITING, {"attempt": job.attempt}, changes, attempt)


def fail_by_poll(job: Job, code: str, message: str, attempt: Attempt, now: datetime) -> Move:
    changes = failed(code, message, now)
    return Move(job.pk, Status.FAILED, WAITING, {"attempt": job.attempt}, changes, attempt)


def poll_again(job: Job, at: datetime | None, attempt: Attempt, *, was_called: bool = True) -> Move:
    """Wait on. `job.next_poll_at` is what the claim set. `at` is None after the last poll: then the
    deadline, which has passed, decides.
    """
    move = postpone_poll(job, at)
    return replace(move, attempt=attempt, was_called=was_called)


def restart_by_poll(
    job: Job, attempt: Attempt, *, counts: bool, not_before: datetime | None, now: datetime
) -> Move:
    """Queue the job for another call: the vendor has dropped the work it had accepted. `counts`:
    whether that counts against max_attempts.
    """
    changes = {"failures": job.failures + counts, **queued(now, not_before)}
    return Move(job.pk, Status.QUEUED, WAITING, {"attempt": job.attempt}, changes, attempt)


def forget_polls(job_ids: Sequence[str], since: datetime) -> None:
    """Delete the polls of these jobs that started before `since`, but keep the last KEPT_POLLS of
    each.
    """
    polls = Attempt.objects.filter(job__in=job_ids, kind=Kind.POLL)
    older: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for job_id, started_at, pk in polls.filter(started_at__lt=since).values_list(
        "job", "started_at", "pk"
    ):
        older[job_id].append((started_at, pk))
    if not older:
        return
    newer = Counter(polls.filter(started_at__gte=since).values_list("job", flat=True))
    surplus = [
        pk
        for job_id, each in older.items()
        for _, pk in sorted(each, reverse=True)[max(KEPT_POLLS - newer[job_id], 0) :]
    ]
    if surplus:
        with writing():
            Attempt.objects.filter(pk__in=surplus).delete()
