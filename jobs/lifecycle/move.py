"""A move of a job, and how moves are applied."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from jobs import tallies
from jobs.models import FINAL, IN_FLIGHT, Attempt, Status, Stream
from jobs.queue.stream import Entry, Requeue, Settlement
from jobs.storage import bulk_writes
from jobs.storage.bulk_writes import Update
from jobs.storage.store import writing
from vendors.base import Done

# What the end of a call adds to an attempt that has its row already.
WRITTEN = ("started_at", "ended_at", "outcome", "message", "cost", "confidence", "reply", "units")
NO_ERROR = {"error_code": "", "error_message": ""}
NO_DATES = {"not_before": None, "deadline_at": None, "next_poll_at": None}


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
    was_called: bool = True  # False: the row that the attempt has already is deleted
    token: str = field(default_factory=new_token)  # recognises the move if it is applied again
    # Of the job, for the tallies. Needed only if the move ends the job and no attempt.
    vendor: str = ""
    run: int = 0

    def update(self) -> Update:
        condition = {"status__in": self.sources, **self.fence}
        return Update(self.job_id, condition, {"status": self.to, **self.changes}, self.token)

    def settlement(self, entry: Entry | None = None, *, refunds: bool = False) -> Settlement:
        """Return how to settle the job in Redis once the move has happened."""
        needs_entry = self.to == Status.QUEUED and self.changes["not_before"] is None
        requeue = Requeue.ALWAYS if needs_entry else Requeue.NO
        leaves = {"frees_slot": self.to not in IN_FLIGHT, "is_final": self.to in FINAL}
        return Settlement(self.job_id, entry, **leaves, refunds=refunds, requeue=requeue)


def apply(moves: Sequence[Move]) -> list[bool]:
    """Apply the moves in one commit and return for each whether it happened.

    The attempt that a move ends is inserted if the move happened. One that has its row already, as
    that of a poll, is written whether or not it did.
    """
    with writing():
        happened = bulk_writes.update_each([move.update() for move in moves])
        results = zip(moves, happened, strict=True)
        new = []
        for move, yes in results:
            attempt = move.attempt
            if attempt and not attempt._state.adding:
                _write(attempt, was_called=move.was_called)
            elif attempt and yes:
                new.append(attempt)
        if new:
            bulk_writes.insert_each(new)
        transaction.on_commit(partial(tallies.note, moves, happened))
    return happened


def _write(attempt: Attempt, *, was_called: bool) -> None:
    """Write or delete an attempt's row. Not by `save`, which fails if the row was pruned."""
    row = Attempt.objects.filter(pk=attempt.pk)
    if was_called:
        row.update(**{name: getattr(attempt, name) for name in WRITTEN})
    else:
        row.delete()


def queued(now: datetime, not_before: datetime | None = None) -> dict[str, Any]:
    """With `not_before`, the entry is added then. Before that, the sweep must not consider it
    lost.
    """
    dates = {**NO_DATES, "not_before": not_before, "queued_at": not_before or now}
    return {"stream": Stream.RETRIES, "expires_at": None, **dates}


def completed(done: Done, now: datetime) -> dict[str, Any]:
    answer = {"outcome": done.outcome, "result": done.result}
    return {**answer, "finished_at": now, "deadline_at": None, **NO_ERROR}


def failed(code: str, message: str, now: datetime) -> dict[str, Any]:
    error = {"error_code": code[:50], "error_message": message[:500]}
    return {**error, "finished_at": now, **NO_DATES}
