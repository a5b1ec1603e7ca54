"""The moves of a waiting job by polls (docs/decisions/0030-polls.md).

`next_poll_at` is the fence. The sweep moves it ahead by a lease and adds an entry that names it. A
worker that takes the entry moves it ahead once more, which claims the poll. If nobody records an
answer by then, the job is due again. A poll has an Attempt row from its claim on, because its call
counts in the vendor's windows whatever becomes of the worker.
"""

from collections.abc import Sequence
from datetime import datetime

from jobs.lifecycle.move import NO_DATES, Move, completed, failed
from jobs.models import Attempt, Job, Status
from jobs.storage import bulk_writes
from jobs.storage.store import writing
from vendors.base import Done

WAITING = (Status.WAITING,)


def postpone_poll(job: Job, until: datetime | None) -> Move:
    """Leave the next poll of a waiting job to a later time; None: do not poll it any more."""
    fence = {"attempt": job.attempt, "next_poll_at": job.next_poll_at}
    return Move(job.pk, Status.WAITING, WAITING, fence, {"next_poll_at": until})


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


def poll_again(job: Job, at: datetime, attempt: Attempt) -> Move:
    """Wait on. `job.next_poll_at` is what the claim set."""
    fence = {"attempt": job.attempt, "next_poll_at": job.next_poll_at}
    return Move(job.pk, Status.WAITING, WAITING, fence, {"next_poll_at": at}, attempt)
