"""Claims the jobs that were taken: one update of all of them decides which are ours."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import redis

from jobs import lifecycle
from jobs.models import IN_FLIGHT, Job
from jobs.queue import breaker, limiter, stream
from jobs.queue.breaker import Report
from jobs.queue.stream import Entry
from jobs.queue.take import Taken
from jobs.storage.store import STORE_ERRORS
from jobs.worker.execution import Execution
from jobs.worker.held_entries import HeldEntries

DEADLINE_MARGIN_SECONDS = 60.0


def claim(takes: Sequence[Taken], worker: str, held: HeldEntries) -> list[Execution]:
    """Claim the jobs for `worker` and return those that were won.

    The entries of the others are dropped and their permits refunded. Raises STORE_ERRORS; then the
    entries stay in `held` as a suspect claim.
    """
    jobs = _claim_rows(takes, worker, held)
    executions = []
    for taken in takes:
        # Popped, because a job can have two entries in one round.
        pairs = [(entry, jobs.pop(entry.job_id, None)) for entry in taken.entries]
        executions += [_execution(taken, entry, job) for entry, job in pairs if job]
        _drop(taken, [entry for entry, job in pairs if not job], held)
    return executions


def _claim_rows(takes: Sequence[Taken], worker: str, held: HeldEntries) -> dict[str, Job]:
    entries = [entry for taken in takes for entry in taken.entries]
    if not entries:
        return {}
    run_token = lifecycle.new_token()
    now = min(taken.now for taken in takes)  # none of these calls was permitted earlier
    timeout_seconds = max(taken.vendor.timeout_seconds for taken in takes)
    deadline_at = now + timedelta(seconds=timeout_seconds + DEADLINE_MARGIN_SECONDS)
    ids = [entry.job_id for entry in entries]
    try:
        jobs = lifecycle.claim(
            ids, worker=worker, run_token=run_token, now=now, deadline_at=deadline_at
        )
    except STORE_ERRORS:
        held.suspect_claim(entries, run_token)
        raise
    return {job.pk: job for job in jobs}


def _execution(taken: Taken, entry: Entry, job: Job) -> Execution:
    if entry.charge:
        # The attempt is recorded as started when its permit was charged. The row, written once for
        # all of them, has the time of the first charge, which stays if this worker dies.
        job.started_at = limiter.moment(entry.charge)
    return Execution(taken.vendor, entry, job, charged_at=taken.asked_at, probe=taken.probe)


def _drop(taken: Taken, entries: list[Entry], held: HeldEntries) -> None:
    """Drop the entries of jobs that are not queued any more, and refund their permits."""
    if not entries:
        return
    in_flight = _in_flight(entries)
    refused = [stream.refused(entry, frees_slot=entry.job_id not in in_flight) for entry in entries]
    held.settle(taken.vendor.slug, refused)
    if taken.probe:
        with suppress(redis.RedisError):  # without the report, the probe expires
            breaker.report(taken.vendor, [Report("none", taken.probe, entries[0].job_id)])


def _in_flight(entries: Sequence[Entry]) -> set[str]:
    """Return the jobs whose slot is in use, by another worker or another entry of this round."""
    ids = [entry.job_id for entry in entries]
    rows = Job.objects.filter(pk__in=ids, status__in=IN_FLIGHT)
    try:
        return set(rows.values_list("pk", flat=True))
    except STORE_ERRORS:
        return set(ids)  # the sweep frees slots that were kept by mistake
