"""What an operator may do to jobs in the console: retry and cancel. Who did it is kept in the
history of the job.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry

from jobs import lifecycle, operator_actions
from jobs.admin.listing import MAX_LISTED
from jobs.lifecycle import Move
from jobs.models import Job
from vendors.catalogue import catalogue


@dataclass(frozen=True)
class Action:
    name: str
    done: str
    consequence: str
    move: Callable[[Job, datetime], Move]
    act: Callable[[Job, datetime], bool]
    needs_vendor: bool = False

    def is_possible(self, job: Job, now: datetime) -> bool:
        return job.status in self.move(job, now).sources and not self.lacks_vendor(job)

    def lacks_vendor(self, job: Job) -> bool:
        return self.needs_vendor and catalogue.get(job.vendor) is None

    def do(self, job: Job, now: datetime) -> bool:
        """Do it. False: it is not possible, or no longer, and nothing was changed."""
        return not self.lacks_vendor(job) and self.act(job, now)


RETRY = Action(
    name="retry",
    done="retried",
    consequence="A retried job is queued for a new run, in which its vendor is called again; its history stays.",
    move=lifecycle.retry,
    act=operator_actions.retry,
    needs_vendor=True,
)
CANCEL = Action(
    name="cancel",
    done="cancelled",
    consequence="A cancelled job ends here. A callback that still comes for it is kept, but changes nothing.",
    move=lifecycle.cancel,
    act=operator_actions.cancel,
)
ACTIONS = {action.name: action for action in (RETRY, CANCEL)}


@dataclass(frozen=True)
class Report:
    """What became of it, in a sentence."""

    done: int
    skipped: int
    sentence: str


def find(ids: Iterable[str]) -> list[Job]:
    """Return the jobs of these ids, without their large columns."""
    return list(Job.objects.filter(pk__in=list(ids)[:MAX_LISTED]).defer("input", "result"))


def run(action: Action, jobs: Sequence[Job], user: Any, now: datetime) -> Report:
    """Do it to each of the jobs that it is still possible for, and keep who did."""
    done = [job for job in jobs if action.do(job, now)]
    LogEntry.objects.log_actions(user.pk, done, CHANGE, f"{action.done.capitalize()}.")
    missed = {job.pk for job in jobs} - {job.pk for job in done}
    sentence = f"{len(done)} {action.done}"
    if missed:
        sentence += f", {len(missed)} skipped: {reasons(action, find(missed))}"
    return Report(len(done), len(missed), f"{sentence}.")


def reasons(action: Action, jobs: Iterable[Job]) -> str:
    """Return why the action is not for these jobs, such as: 2 are complete, 1 is processing."""
    found = Counter(_reason(action, job) for job in jobs)
    return ", ".join(
        f"{count} {'is' if count == 1 else 'are'} {reason}" for reason, count in found.most_common()
    )


def _reason(action: Action, job: Job) -> str:
    return "of a vendor that no longer exists" if action.lacks_vendor(job) else job.status
