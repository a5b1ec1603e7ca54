"""Starts the jobs that were taken: one update for the whole batch says which of them are ours."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import redis
from django.db import DatabaseError

from jobs import breaker, lifecycle, stream
from jobs.breaker import Report
from jobs.caller import Started
from jobs.hands import Hands
from jobs.models import Job
from jobs.stream import Entry
from jobs.take import Taken

DEADLINE_MARGIN_SECONDS = 60.0


class Starter:
    """Starts jobs in the name of one worker."""

    def __init__(self, consumer: str, hands: Hands) -> None:
        self._consumer = consumer
        self._hands = hands

    def start(self, gathered: Sequence[Taken]) -> list[Started]:
        """Return the jobs that were won; the others' entries and permits go back. Raises DatabaseError."""
        entries = [entry for taken in gathered for entry in taken.entries]
        jobs = self._start_jobs(entries, gathered) if entries else {}
        started = []
        for taken in gathered:
            # Popped, because a job can have two entries in one batch.
            pairs = [(entry, jobs.pop(entry.job_id, None)) for entry in taken.entries]
            started += [Started(taken.vendor, entry, job, taken.asked_at, taken.probe) for entry, job in pairs if job]
            self._refuse(taken, [entry for entry, job in pairs if not job])
        return started

    def _start_jobs(self, entries: list[Entry], gathered: Sequence[Taken]) -> dict[str, Job]:
        run_token = secrets.token_hex(16)
        now = max(taken.now for taken in gathered)
        longest = max(taken.vendor.timeout_seconds for taken in gathered)
        deadline_at = now + timedelta(seconds=longest + DEADLINE_MARGIN_SECONDS)
        ids = [entry.job_id for entry in entries]
        try:
            jobs = lifecycle.start(ids, worker=self._consumer, run_token=run_token, now=now, deadline_at=deadline_at)
        except DatabaseError:
            self._hands.strand(entries, run_token)
            raise
        return {job.pk: job for job in jobs}

    def _refuse(self, taken: Taken, entries: list[Entry]) -> None:
        if not entries:
            return
        self._hands.settle(taken.vendor.slug, [stream.refused(entry) for entry in entries])
        if taken.probe:
            with suppress(redis.RedisError):  # else the probe expires
                breaker.report(taken.vendor, [Report("none", taken.probe, entries[0].job_id)])
