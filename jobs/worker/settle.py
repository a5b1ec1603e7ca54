"""Settles recorded executions: acknowledges their entries and frees slots."""

from collections import defaultdict
from collections.abc import Sequence

from jobs.models import FINAL, Job, Status
from jobs.queue.stream import Requeue, Settlement
from jobs.storage.store import STORE_ERRORS
from jobs.worker.execution import Execution
from jobs.worker.held_entries import HeldEntries


def settle(executions: Sequence[Execution], held: HeldEntries) -> None:
    """Settle the entries of executions that were recorded, those of each vendor at once."""
    statuses = _statuses([execution.job.pk for execution in executions if not execution.happened])
    settlements: dict[str, list[Settlement]] = defaultdict(list)
    for execution in executions:
        status = statuses.get(execution.job.pk, "")
        settlements[execution.vendor.slug].append(_settlement(execution, status))
    for slug, of_vendor in settlements.items():
        held.settle(slug, of_vendor)


def _settlement(execution: Execution, status: str) -> Settlement:
    """`status`: of the job whose move did not happen; empty if it is unknown."""
    entry, refunds = execution.entry, not execution.was_called
    if execution.move and execution.happened:
        return execution.move.settlement(entry, refunds=refunds)
    # The process that took the job over may not have replaced its entry yet, and would not find
    # this one any more.
    is_queued = status == Status.QUEUED and not execution.poll
    requeue = Requeue.IF_PENDING if is_queued else Requeue.NO
    # A late permit may have given the job a slot after the process that ended it had freed it.
    is_final = status in FINAL
    return Settlement(entry.job_id, entry, is_final=is_final, refunds=refunds, requeue=requeue)


def _statuses(job_ids: Sequence[str]) -> dict[str, str]:
    """Return the statuses of these jobs, as far as the store answers."""
    if not job_ids:
        return {}
    try:
        return dict(Job.objects.filter(pk__in=job_ids).values_list("pk", "status"))
    except STORE_ERRORS:
        return {}  # the sweep corrects slots and entries
