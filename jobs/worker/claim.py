"""Starts the jobs that were taken: one update for the whole batch says which of them are ours."""

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
from jobs.worker.execute import Started
from jobs.worker.held_entries import Hands

DEADLINE_MARGIN_SECONDS = 60.0


class Starter:
    """Starts jobs in the name of one worker."""

    def __init__(self, consumer: str, hands: Hands) -> None:
        self._consumer = consumer
        self._hands = hands

    def start(self, gathered: Sequence[Taken]) -> list[Started]:
        """Return the jobs that were won; the others' entries and permits go back. Raises
        STORE_ERRORS.
        """
        entries = [entry for taken in gathered for entry in taken.entries]
        jobs = self._start_jobs(entries, gathered) if entries else {}
        started = []
        for taken in gathered:
            # Popped, because a job can have two entries in one batch.
            pairs = [(entry, jobs.pop(entry.job_id, None)) for entry in taken.entries]
            started += [_started(taken, entry, job) for entry, job in pairs if job]
            self._refuse(taken, [entry for entry, job in pairs if not job])
        return started

    def _start_jobs(self, entries: list[Entry], gathered: Sequence[Taken]) -> dict[str, Job]:
        run_token = lifecycle.new_token()
        now = min(taken.now for taken in gathered)  # no call of the batch was permitted earlier
        longest = max(taken.vendor.timeout_seconds for taken in gathered)
        deadline_at = now + timedelta(seconds=longest + DEADLINE_MARGIN_SECONDS)
        ids = [entry.job_id for entry in entries]
        try:
            jobs = lifecycle.claim(
                ids, worker=self._consumer, run_token=run_token, now=now, deadline_at=deadline_at
            )
        except STORE_ERRORS:
            self._hands.strand(entries, run_token)
            raise
        return {job.pk: job for job in jobs}

    def _refuse(self, taken: Taken, entries: list[Entry]) -> None:
        if not entries:
            return
        in_flight = _in_flight(entries)
        refused = [
            stream.refused(entry, frees_slot=entry.job_id not in in_flight) for entry in entries
        ]
        self._hands.settle(taken.vendor.slug, refused)
        if taken.probe:
            with suppress(redis.RedisError):  # else the probe expires
                breaker.report(taken.vendor, [Report("none", taken.probe, entries[0].job_id)])


def _started(taken: Taken, entry: Entry, job: Job) -> Started:
    if entry.charge:
        # What is recorded of the call is its permit. The row, written once for the whole batch,
        # says when that was taken, and that is all that remains of a call whose worker dies.
        job.started_at = limiter.moment(entry.charge)
    return Started(taken.vendor, entry, job, taken.asked_at, taken.probe)


def _in_flight(entries: Sequence[Entry]) -> set[str]:
    """Return those of the jobs whose slot is in use: by another worker, or by another entry in the
    same batch.
    """
    ids = [entry.job_id for entry in entries]
    try:
        return set(
            Job.objects.filter(pk__in=ids, status__in=IN_FLIGHT).values_list("pk", flat=True)
        )
    except STORE_ERRORS:
        return set(ids)  # a slot that is kept wrongly is found by the sweep
