"""An operator: retries what has failed, in bulk, while the workers that carry it out are killed."""

import time
from collections.abc import Iterator

from audit.record import Actor
from chaos.history import Finding
from chaos.system import System
from harness.waiting import wait_for
from jobs.bulk import actions
from jobs.choice import Choice
from jobs.models import BulkAction, Job, Status

OPERATOR = Actor("campaign")
KILLS = 3
KILL_INTERVAL_SECONDS = 1.0
MAX_SECONDS = 180.0


def retry_some_failed(system: System) -> None:
    """Retry the failed jobs of every other vendor, and note what is wrong with it. The jobs of the
    others are left to their clients.
    """
    failed = Job.objects.filter(status=Status.FAILED)
    vendors = sorted(set(failed.values_list("vendor", flat=True)))[::2]
    started = [_start(vendor) for vendor in vendors]
    for _ in range(KILLS if started else 0):
        time.sleep(KILL_INTERVAL_SECONDS)
        system.journal.note("all workers are killed during bulk actions")
        for worker in system.workers:
            worker.kill()
        for worker in system.workers:
            worker.start()
    try:
        wait_for(lambda: not actions.running(), "the bulk actions to end", MAX_SECONDS)
    except AssertionError:
        system.journal.bulk_findings.append(("none", "a bulk action did not end"))
    for action in started:
        system.journal.bulk_findings += _wrong(BulkAction.objects.get(pk=action.pk))


def _start(vendor: str) -> BulkAction:
    choice = Choice(vendor=vendor, status="failed")
    return actions.start(
        OPERATOR,
        kind="retry",
        vendor=vendor,
        choice=choice.as_json(),
        planned=choice.jobs().count(),
        repeats_unknown=True,
    )


def _wrong(action: BulkAction) -> Iterator[Finding]:
    """Jobs that an action has moved twice, or has forgotten, and counts that do not add up."""
    marked = Job.objects.filter(bulk=action.pk, bulk__gt="")
    for job_id, run in marked.exclude(run=2).values_list("pk", "run"):
        yield job_id, f"is in run {run} after one bulk action"
    if action.done != marked.count():
        yield "none", f"{action.vendor}: {action.done} counted, but {marked.count()} retried"
    forgotten = Job.objects.filter(vendor=action.vendor, status=Status.FAILED, run=1)
    for job_id in forgotten.values_list("pk", flat=True):
        yield job_id, "was not retried by the bulk action"
