"""What a bulk action can do to jobs, and to which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import QuerySet

from jobs import operator_actions
from jobs.choice import Choice
from jobs.models import BulkAction, Job, Status

OUTCOME_UNKNOWN = "outcome_unknown"  # the vendor may have done the work
RETRIABLE = (Status.FAILED, Status.CANCELLED)
CANCELLABLE = (Status.QUEUED, Status.WAITING)


@dataclass(frozen=True)
class Kind:
    """`sources`: the statuses of the jobs that it can move. `each`: moves them in one commit, for
    the bulk action with this id, and returns for each whether it was moved.
    """

    name: str
    done: str
    sources: tuple[Status, ...]
    each: Callable[[Sequence[Job], datetime, str], list[bool]]
    needs_vendor: bool = False

    def statuses(self, choice: Choice) -> tuple[Status, ...]:
        """Return the statuses of those jobs of a choice that it moves."""
        if choice.status:
            return tuple(status for status in self.sources if status == choice.status)
        if self.name == "retry" and not choice.ids:
            return (Status.FAILED,)  # somebody wanted the cancelled ones to end
        return self.sources

    def jobs(self, choice: Choice, until: datetime) -> list["QuerySet[Job]"]:
        """Return the jobs that an action started at `until` moves: one set for each status, so that
        an index has it in the order of ids.

        Those that end later are left alone.
        """
        rows = [replace(choice, status=status.value).jobs() for status in self.statuses(choice)]
        if self.name == "retry":
            return [each.filter(finished_at__lte=until) for each in rows]
        return rows


RETRY = Kind(
    "retry",
    "retried",
    RETRIABLE,
    lambda jobs, now, bulk: operator_actions.retry_each(jobs, now, bulk=bulk),
    needs_vendor=True,
)
CANCEL = Kind(
    "cancel",
    "cancelled",
    CANCELLABLE,
    lambda jobs, now, bulk: operator_actions.cancel_each(jobs, now, bulk=bulk),
)
KINDS = {kind.name: kind for kind in (RETRY, CANCEL)}


def jobs_of(action: BulkAction) -> list["QuerySet[Job]"]:
    """Return the jobs that an action moves, as `Kind.jobs` does."""
    return KINDS[action.kind].jobs(choice_of(action), action.started_at)


def being_called(action: BulkAction) -> "QuerySet[Job]":
    """Return the jobs that an action would cancel if they were not being called."""
    choice = choice_of(action)
    if action.kind != CANCEL.name or choice.status:
        return Job.objects.none()
    return replace(choice, status=Status.PROCESSING.value).jobs()


def choice_of(action: BulkAction) -> Choice:
    return Choice.from_json(action.choice)


def in_order(rows: Sequence["QuerySet[Job]"], after: str, limit: int) -> list[Job]:
    """Return the first `limit` of these jobs, in the order of their ids, after the id `after`."""
    found = [job for each in rows for job in each.filter(pk__gt=after).order_by("pk")[:limit]]
    return sorted(found, key=lambda job: job.pk)[:limit]


def ids_in_order(rows: Sequence["QuerySet[Job]"], after: str, limit: int) -> list[str]:
    """Return their ids alone."""
    found: list[str] = []
    for each in rows:
        found += each.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:limit]
    return sorted(found)[:limit]
