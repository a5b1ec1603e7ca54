"""Puts jobs back into their queue, and applies stored callbacks again, as an operator chooses.

Both go through their rows by id in bounded batches, and each row is moved by itself: memory stays flat, and to stop in
between or to run twice does no harm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from django.db.models import QuerySet
from django.utils import timezone

from jobs import control, deliveries
from jobs.models import Delivery, Job, Status, Verdict
from jobs.pagination import first_id_at
from vendors.catalogue import catalogue

BATCH = 500
RETRIABLE = (Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True)
class Choice:
    """Which jobs; what is empty does not matter. `created_before` is the first moment that is too late."""

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

    Those that end after `started_at` are left alone, so that a job which fails again is not put back twice.
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
        """Put one back. False: it has moved on, or its vendor no longer exists, and nothing was changed."""
        return catalogue.get(job.vendor) is not None and control.retry(job, timezone.now())


class DeliveryReplay:
    """Callbacks that have no verdict yet, and late ones whose job failed only for the lack of them."""

    noun, done = "callback", "applied"

    def __init__(self, choice: Choice, started_at: datetime) -> None:
        rows = Delivery.objects.filter(received_at__lte=started_at)
        rows = rows.filter(vendor=choice.vendor) if choice.vendor else rows
        self._rows = rows.filter(job__in=choice.ids) if choice.ids else rows

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Delivery]:
        yield from _by_id(self._rows.filter(verdict=""))
        late = _by_id(self._rows.filter(verdict=Verdict.LATE).defer("body"))
        while batch := list(islice(late, BATCH)):
            yield from _awaited(batch)

    def describe(self, delivery: Delivery) -> str:
        return f"{delivery.job}  {delivery.vendor}  {delivery.verdict or 'without a verdict'}"

    def do(self, delivery: Delivery) -> bool:
        """Apply one. False: it changed nothing."""
        now = timezone.now()
        if delivery.verdict == Verdict.LATE:
            return deliveries.apply_late(delivery, now)
        return deliveries.apply(delivery, catalogue.get(delivery.vendor), now) == Verdict.APPLIED


class Replay(Protocol):
    """Rows that an operator has chosen, and what is to be done to each."""

    noun: str
    done: str

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def describe(self, row: Any, /) -> str: ...
    def do(self, row: Any, /) -> bool: ...


def run(replay: Replay) -> Iterator[bool]:
    """Do it to one row after the other, and say of each whether it happened; it may be left after any of them."""
    for row in replay:
        yield replay.do(row)


def _by_id(rows: QuerySet[Any]) -> Iterator[Any]:
    last = ""
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        yield from batch
        last = batch[-1].pk


def _awaited(batch: list[Delivery]) -> list[Delivery]:
    """Return those of the callbacks whose job failed for the lack of them."""
    jobs = Job.objects.filter(pk__in=[delivery.job for delivery in batch], status=Status.FAILED, error_code="callback_overdue")
    runs = dict(jobs.values_list("pk", "run"))
    return [delivery for delivery in batch if runs.get(delivery.job) == delivery.run]
