"""Counts refused callbacks on their job, so that operators see that they came and why they were
refused.

Anyone who knows a job's id can cause a refusal. So each run of a job has one row for all of them,
without a body, and it is written about once a second at most.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from threading import Lock

from django.db.models import F

from jobs.callbacks.read import EQUAL_NAMES
from jobs.models import Callback, Job, Verdict
from jobs.storage import bulk_writes
from jobs.storage.store import patience, writing

TIMEOUT_SECONDS = 1.0
MAX_BYTES_NOTED = 2**31 - 1  # a size may be announced and never sent


class Tally:
    """Refusals per job that are not yet written, and when they may be: a token bucket that allows
    a burst, then one write a second.
    """

    MAX_BURST = 10
    MAX_JOBS = 1000

    def __init__(self) -> None:
        self._lock = Lock()
        # By vendor and job: allowed writes, as of when, and unwritten refusals.
        self._jobs: OrderedDict[tuple[str, str], tuple[float, float, int]] = OrderedDict()

    def add(self, slug: str, job_id: str) -> int:
        """Count a refusal, and return how many to write now."""
        key, now = (slug, job_id), time.monotonic()
        with self._lock:
            writes, at, unwritten = self._jobs.pop(key, (float(self.MAX_BURST), now, 0))
            writes, unwritten = min(writes + now - at, self.MAX_BURST), unwritten + 1
            due = unwritten if writes >= 1 else 0
            self._jobs[key] = (writes - 1, now, 0) if due else (writes, now, unwritten)
            if len(self._jobs) > self.MAX_JOBS:
                self._jobs.popitem(last=False)
        return due


_tally = Tally()


def note(
    slug: str, job_id: str, reason: str, *, body_bytes: int, now: datetime, run: int | None = None
) -> None:
    """Count a refused callback on its job, if the vendor has such a job. `run` defaults to the
    job's current one.
    """
    count = _tally.add(slug, job_id)
    if not count:
        return
    with patience(TIMEOUT_SECONDS):
        current = Job.objects.filter(pk=job_id, vendor=slug).values_list("run", flat=True).first()
        if current is None:
            return
        key = hashlib.sha256(f"refused\n{slug}\n{job_id}\n{run or current}".encode()).hexdigest()
        row = Callback(
            key=key,
            vendor=slug,
            job=job_id,
            run=run or current,
            verdict=Verdict.REFUSED,
            reason=reason[:200],
            body_bytes=min(body_bytes, MAX_BYTES_NOTED),
            received_at=now,
            times_received=count,
        )
        with writing():
            # If the insert fails, another process inserted the row first.
            if not _add_to_existing(row) and not all(bulk_writes.insert_each([row])):
                _add_to_existing(row)


def _add_to_existing(row: Callback) -> bool:
    return bool(
        Callback.objects.filter(key=row.key).update(
            times_received=F("times_received") + row.times_received,
            reason=row.reason,
            body_bytes=row.body_bytes,
            received_at=row.received_at,
        )
    )


def hints(jobs: Iterable[Job]) -> dict[str, str]:
    """Return, by job id, sentences about callbacks of the current run that were refused or
    unreadable.
    """
    runs = {job.pk: job.run for job in jobs}
    by_job: dict[str, list[Callback]] = {}
    # The verdict is not in the filter: a store might read every callback with it.
    for row in Callback.objects.filter(job__in=list(runs)).defer("body"):
        if row.run == runs[row.job] and row.verdict in (Verdict.REFUSED, Verdict.UNREADABLE):
            by_job.setdefault(row.job, []).append(row)
    return {job_id: _hint(rows) for job_id, rows in by_job.items()}


def _hint(rows: list[Callback]) -> str:
    sentences = [_refused(row) for row in rows if row.verdict == Verdict.REFUSED]
    reasons = [row.reason for row in rows if row.verdict == Verdict.UNREADABLE]
    if ambiguous := reasons.count(EQUAL_NAMES):
        sentences.append(f"{_callbacks(ambiguous)} had two fields of the same name.")
    if unreadable := len(reasons) - ambiguous:
        sentences.append(f"The adapter could not read {_callbacks(unreadable)}.")
    return " ".join(sentences)


def _callbacks(count: int) -> str:
    return f"{count} callbacks" if count > 1 else "1 callback"


def _refused(row: Callback) -> str:
    count, reason = row.times_received, row.reason or "not_an_object"
    which = "A callback was refused"
    if count > 1:
        which = f"{count} callbacks were refused, the last one"
    return f"{which} at {row.received_at:%Y-%m-%d %H:%M:%S} UTC: {reason}."
