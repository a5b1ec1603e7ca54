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
    the bulk action with this id, and returns for each whether it was moved. The last argument is
    called in that commit, and prevents it if it raises.
    """

    name: str
    done: str
    sources: tuple[Status, ...]
    each: Callable[[Sequence[Job], datetime, str, operator_actions.Note], list[bool]]
    needs_vendor: bool = False

    def statuses(self, choice: Choice) -> tuple[Status, ...]:
        """Return the statuses of those jobs of a choice that it moves."""
        if choice.status:
            return tuple(status for status in self.sources if status == choice.status)
        if self.name == "retry" and not choice.ids:
            return (Status.FAILED,)  # somebody wanted the cancelled ones to end
        return self.sources

    def rows(self, choice: Choice, until: datetime) -> list["Rows"]:
        """Return the jobs that an action started at `until` moves: those of each status apart, so
        that an index has them in the order of ids.

        Those that end later are left alone.
        """
        found = []
        for status in self.statuses(choice):
            of_status = replace(choice, status=status.value)
            jobs = of_status.jobs()
            if self.name == "retry":
                jobs = jobs.filter(finished_at__lte=until)
            found.append(Rows(of_status.leading(), jobs))
        return found


@dataclass(frozen=True)
class Rows:
    """The jobs of one status, and those that an index finds for them, of which they are a part.

    There may be millions of the latter and none of the former. So they are read in windows.
    """

    leading: "QuerySet[Job]"
    jobs: "QuerySet[Job]"

    def end(self, after: str, size: int) -> str:
        """Return the id at which the window of `size` leading jobs ends that begins after the id
        `after`; '' if it has fewer.
        """
        ids = self.leading.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)
        return next(iter(ids[size - 1 : size]), "")

    def within(self, after: str, end: str) -> "QuerySet[Job]":
        """Return the jobs of such a window, in the order of ids; all after `after` if `end` is
        ''.
        """
        found = self.jobs.filter(pk__gt=after).order_by("pk")
        return found.filter(pk__lte=end) if end else found

    def newest(self, size: int) -> str:
        """Return the newest id, if it is among the newest `size` leading jobs."""
        ids = self.leading.order_by("-pk").values_list("pk", flat=True)
        end = next(iter(ids[size - 1 : size]), "")
        found = self.within("", "").reverse().filter(pk__gte=end)
        return found.values_list("pk", flat=True).first() or ""


RETRY = Kind(
    "retry",
    "retried",
    RETRIABLE,
    lambda jobs, now, bulk, note: operator_actions.retry_each(jobs, now, bulk=bulk, note=note),
    needs_vendor=True,
)
CANCEL = Kind(
    "cancel",
    "cancelled",
    CANCELLABLE,
    lambda jobs, now, bulk, note: operator_actions.cancel_each(jobs, now, bulk=bulk, note=note),
)
KINDS = {kind.name: kind for kind in (RETRY, CANCEL)}


def rows_of(action: BulkAction) -> list[Rows]:
    """Return the jobs that an action moves, as `Kind.rows` does."""
    return KINDS[action.kind].rows(choice_of(action), action.started_at)


def being_called(action: BulkAction) -> "QuerySet[Job]":
    """Return the jobs that an action would cancel if they were not being called."""
    choice = choice_of(action)
    if action.kind != CANCEL.name or choice.status:
        return Job.objects.none()
    return replace(choice, status=Status.PROCESSING.value).jobs()


def choice_of(action: BulkAction) -> Choice:
    return Choice.from_json(action.choice)


def window(rows: Sequence[Rows], after: str, size: int) -> str:
    """Return where the next window ends: it has `size` leading jobs of a status at most. '' if it
    is the last one.
    """
    return min(filter(None, (each.end(after, size) for each in rows)), default="")


def in_order(rows: Sequence[Rows], after: str, end: str, limit: int) -> list[Job]:
    """Return the first `limit` jobs of a window, in the order of their ids."""
    found = [job for each in rows for job in each.within(after, end)[:limit]]
    return sorted(found, key=lambda job: job.pk)[:limit]
