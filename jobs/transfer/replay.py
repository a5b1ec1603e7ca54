"""Puts jobs back into their queue, and applies stored callbacks again, as an operator chooses.

Both go through their rows by id in bounded batches, and each row is moved by itself: memory stays
flat, and to stop in between or to run twice does no harm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from django.db.models import QuerySet
from django.utils import timezone

from jobs import operator_actions
from jobs.api.pagination import first_id_at
from jobs.callbacks import apply
from jobs.models import OPEN, Callback, Job, Status, Verdict
from vendors.catalogue import catalogue

BATCH = 500
RETRIABLE = (Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True)
class Choice:
    """Which jobs; what is empty does not matter. `created_before` is the first moment that is too
    late.
    """

    ids: tuple[str, ...] = ()
    status: str = ""
    vendor: str = ""
    error_code: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    limit: int | None = None

    def as_filter(self) -> dict[str, Any]:
        conditions = {
            "pk__in": self.ids,
            "vendor": self.vendor,
            "error_code": self.error_code,
            "pk__gte": self.created_after and first_id_at(self.created_after),
            "pk__lt": self.created_before and first_id_at(self.created_before),
        }
        return {name: value for name, value in conditions.items() if value}


class JobReplay:
    """Failed or cancelled jobs, each to be queued for a new run.

    Those that end after `started_at` are left alone, so that a job which fails again is not put
    back twice.
    """

    noun, done = "job", "put back"

    def __init__(self, choice: Choice, started_at: datetime) -> None:
        statuses = [choice.status] if choice.status else RETRIABLE
        ended = Job.objects.filter(status__in=statuses, finished_at__lte=started_at)
        self._rows = ended.filter(**choice.as_filter()).defer("input", "result")
        self._limit = choice.limit

    def __len__(self) -> int:
        return self._rows[: self._limit].count()

    def __iter__(self) -> Iterator[Job]:
        return islice(_by_id(self._rows), self._limit)

    def describe(self, job: Job) -> str:
        return f"{job.pk}  {job.vendor}  {job.error_code or job.status}"

    def do(self, job: Job) -> bool:
        """Put one back. False: it has moved on, or its vendor no longer exists, and nothing was
        changed.
        """
        return catalogue.get(job.vendor) is not None and operator_actions.retry(job, timezone.now())


class CallbackReplay:
    """Stored callbacks that were not applied, and can be now: their job is open, or failed only for
    the lack of them.
    """

    noun, done = "callback", "applied"
    VERDICTS = ("", Verdict.UNREADABLE, Verdict.UNMATCHED, Verdict.LATE)

    def __init__(self, choice: Choice, started_at: datetime) -> None:
        rows = Callback.objects.filter(received_at__lte=started_at).defer("body")
        rows = rows.filter(vendor=choice.vendor) if choice.vendor else rows
        self._rows = rows.filter(job__in=choice.ids) if choice.ids else rows

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Callback]:
        for verdict in self.VERDICTS:
            rows = _by_id(self._rows.filter(verdict=verdict))
            while batch := list(islice(rows, BATCH)):
                for callback in apply.load_each(_awaited(batch)):
                    if apply.can_be_applied(callback, timezone.now()):
                        yield callback

    def describe(self, callback: Callback) -> str:
        return f"{callback.job}  {callback.vendor}  {callback.verdict or 'without a verdict'}"

    def do(self, callback: Callback) -> bool:
        """Apply one. False: it changed nothing."""
        now = timezone.now()
        is_applied = apply.apply(callback, catalogue.get(callback.vendor), now) == Verdict.APPLIED
        return is_applied or apply.apply_late(callback, now)


class Replay(Protocol):
    """Rows that an operator has chosen, and what is to be done to each."""

    noun: str
    done: str

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def describe(self, row: Any, /) -> str: ...
    def do(self, row: Any, /) -> bool: ...


def run(replay: Replay) -> Iterator[bool]:
    """Do it to one row after the other, and say of each whether it happened; it may be left after
    any of them.
    """
    for row in replay:
        yield replay.do(row)


def _by_id(rows: QuerySet[Any]) -> Iterator[Any]:
    last = ""
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        yield from batch
        last = batch[-1].pk


def _awaited(batch: list[Callback]) -> list[str]:
    """Return those of the callbacks whose job is open, or failed for the lack of them, in the run
    that they are about.
    """
    jobs = Job.objects.filter(
        pk__in=[callback.job for callback in batch], status__in=[*OPEN, Status.FAILED]
    )
    runs = {
        job_id: run
        for job_id, run, status, error in jobs.values_list("pk", "run", "status", "error_code")
        if status != Status.FAILED or error == "callback_overdue"
    }
    return [callback.pk for callback in batch if runs.get(callback.job, 0) == callback.run]
