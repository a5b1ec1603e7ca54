"""Claims the jobs that were taken: one update of all of them decides which are ours."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import redis

from jobs import lifecycle
from jobs.models import IN_FLIGHT, Job
from jobs.queue import limiter, stream
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.stream import Entry, Settlement
from jobs.queue.take import Taken
from jobs.storage.store import STORE_ERRORS
from jobs.worker import polls
from jobs.worker.execution import Execution
from jobs.worker.held_entries import HeldEntries

DEADLINE_MARGIN_SECONDS = 60.0


def claim(takes: Sequence[Taken], worker: str, held: HeldEntries) -> list[Execution]:
    """Claim the jobs and polls for `worker` and return those that were won.

    The entries of the others are dropped and their permits refunded. Raises STORE_ERRORS; then the
    entries stay in `held` as a suspect claim.
    """
    jobs = _claim_rows(takes, worker, held)
    executions = []
    for taken in takes:
        # Popped, because a job can have two entries in one round.
        calls = [entry for entry in taken.entries if not polls.is_poll(entry)]
        pairs = [(entry, jobs.pop(entry.job_id, None)) for entry in calls]
        executions += [_execution(taken, entry, job) for entry, job in pairs if job]
        _drop(taken, [entry for entry, job in pairs if not job], held)
    return executions + _claim_polls(takes, worker, held)


def _claim_polls(takes: Sequence[Taken], worker: str, held: HeldEntries) -> list[Execution]:
    found = [(taken, entry) for taken in takes for entry in taken.entries if polls.is_poll(entry)]
    if not found:
        return []
    try:
        executions = polls.claim(found, worker)
    except STORE_ERRORS:
        # The jobs that are claimed already go on. These polls are due again when their lease ends.
        held.suspect_claim([entry for _, entry in found], lifecycle.new_token())
        return []
    won = {id(execution.entry) for execution in executions}
    for taken in takes:
        lost = [entry for entry in taken.entries if polls.is_poll(entry) and id(entry) not in won]
        _refuse(taken, [stream.refused(entry, frees_slot=False) for entry in lost], held)
    return executions


def _claim_rows(takes: Sequence[Taken], worker: str, held: HeldEntries) -> dict[str, Job]:
    entries = [entry for taken in takes for entry in taken.entries]
    calls = [entry for entry in entries if not polls.is_poll(entry)]
    if not calls:
        return {}
    # Of two entries of a job, the first is the one that is executed.
    keys = {entry.job_id: entry.credential for entry in reversed(calls) if entry.credential}
    run_token = lifecycle.new_token()
    now = min(taken.now for taken in takes)  # none of these calls was permitted earlier
    timeout_seconds = max(taken.vendor.timeout_seconds for taken in takes)
    deadline_at = now + timedelta(seconds=timeout_seconds + DEADLINE_MARGIN_SECONDS)
    try:
        jobs = lifecycle.claim(
            [entry.job_id for entry in calls],
            worker=worker,
            run_token=run_token,
            now=now,
            deadline_at=deadline_at,
            keys=keys,
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
    _refuse(taken, refused, held)


def _refuse(taken: Taken, refused: Sequence[Settlement], held: HeldEntries) -> None:
    if not refused:
        return
    held.settle(taken.vendor.slug, refused)
    if taken.probe:
        with suppress(redis.RedisError):  # without the report, the probe expires
            breaker.report(taken.vendor, [Report("none", taken.probe, refused[0].job_id)])


def _in_flight(entries: Sequence[Entry]) -> set[str]:
    """Return the jobs whose slot is in use, by another worker or another entry of this round."""
    ids = [entry.job_id for entry in entries]
    rows = Job.objects.filter(pk__in=ids, status__in=IN_FLIGHT)
    try:
        return set(rows.values_list("pk", flat=True))
    except STORE_ERRORS:
        return set(ids)  # the sweep frees slots that were kept by mistake
