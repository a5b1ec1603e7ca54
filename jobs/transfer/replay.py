"""Retries jobs, or applies stored callbacks again, as an operator chooses.

Both read their rows by id in bounded chunks and move each row by itself. Memory use is constant,
and a replay can be interrupted, or run twice, without harm.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from django.db.models import QuerySet

from jobs import lifecycle, operator_actions
from jobs.callbacks import apply
from jobs.choice import Choice
from jobs.models import OPEN, Callback, Job, Status, Verdict
from jobs.queue.clock import redis_clock
from vendors.catalogue import catalogue

CHUNK = 500
RETRIABLE = (Status.FAILED, Status.CANCELLED)


class Replay(Protocol):
    """The rows that an operator chose, and what to do with each."""

    noun: str
    verb: str
    done: str

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def describe(self, row: Any, /) -> str: ...
    def do(self, row: Any, /) -> bool: ...


class JobReplay:
    """Failed or cancelled jobs, each to be queued for a new run.

    Jobs that end after `started_at` are left alone, so that one that fails again is not retried
    twice.
    """

    noun, verb, done = "job", "retry", "retried"

    def __init__(self, choice: Choice, started_at: datetime, limit: int | None = None) -> None:
        retriable = {} if choice.status else {"status__in": RETRIABLE}
        self._rows = choice.jobs(started_at).filter(finished_at__lte=started_at, **retriable)
        self._limit = limit

    def __len__(self) -> int:
        return self._rows[: self._limit].count()

    def __iter__(self) -> Iterator[Job]:
        return islice(_by_id(self._rows), self._limit)

    def describe(self, job: Job) -> str:
        return f"{job.pk}  {job.vendor}  {job.error_code or job.status}"

    def do(self, job: Job) -> bool:
        """Retry one job. False if it has moved on, or its vendor no longer exists."""
        return catalogue.get(job.vendor) is not None and operator_actions.retry(
            job, redis_clock.now()
        )


class CallbackReplay:
    """Stored callbacks that were not applied and can be now: their job is open, or failed only
    because no callback came.
    """

    noun, verb, done = "callback", "apply", "applied"
    VERDICTS = ("", Verdict.UNREADABLE, Verdict.UNMATCHED, Verdict.LATE)

    def __init__(self, choice: Choice, started_at: datetime, limit: int | None = None) -> None:
        rows = Callback.objects.filter(received_at__lte=started_at).defer("body")
        rows = rows.filter(vendor=choice.vendor) if choice.vendor else rows
        self._rows = rows.filter(job__in=choice.ids) if choice.ids else rows

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Callback]:
        for verdict in self.VERDICTS:
            rows = _by_id(self._rows.filter(verdict=verdict))
            while chunk := list(islice(rows, CHUNK)):
                for callback in apply.load_each(_expected(chunk)):
                    if apply.can_be_applied(callback, redis_clock.now()):
                        yield callback

    def describe(self, callback: Callback) -> str:
        return f"{callback.job}  {callback.vendor}  {callback.verdict or 'without a verdict'}"

    def do(self, callback: Callback) -> bool:
        """Apply one callback. False if it changed nothing."""
        return apply_again(callback, redis_clock.now())


def apply_again(callback: Callback, now: datetime) -> bool:
    """Apply a stored callback for an operator. False if it changed nothing."""
    if callback.verdict == Verdict.APPLIED:
        return False
    verdict = apply.apply(callback, catalogue.get(callback.vendor), now, by_operator=True)
    return verdict == Verdict.APPLIED or apply.apply_late(callback, now)


def run(replay: Replay) -> Iterator[bool]:
    """Replay row after row, and yield for each whether it changed. The caller may stop after any
    row.
    """
    for row in replay:
        yield replay.do(row)


def _by_id(rows: QuerySet[Any]) -> Iterator[Any]:
    last = ""
    while chunk := list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        yield from chunk
        last = chunk[-1].pk


def _expected(chunk: list[Callback]) -> list[str]:
    """Return the ids of the callbacks whose job, in the run that they answer, is open or failed
    because no callback came.
    """
    jobs = Job.objects.filter(
        pk__in=[callback.job for callback in chunk], status__in=[*OPEN, Status.FAILED]
    )
    runs = {
        job_id: run
        for job_id, run, status, error in jobs.values_list("pk", "run", "status", "error_code")
        if status != Status.FAILED or error in lifecycle.OVERDUE_CODES
    }
    return [callback.pk for callback in chunk if runs.get(callback.job, 0) == callback.run]
