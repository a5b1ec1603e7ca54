"""Counts refused callbacks on their job, so that whoever looks at the job learns that they came,
and why they were refused.

Anyone who knows a job's id can cause a refusal. So there is one row for each run of a job, without
a body, however many are refused, and it is written about once a second at the most.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from threading import Lock

from django.db.models import F

from jobs.models import Callback, Job, Verdict
from jobs.storage import bulk_writes
from jobs.storage.store import patience, writing

TIMEOUT_SECONDS = 1.0
MAX_BYTES_NOTED = 2**31 - 1  # of a size that was announced, and never sent


class Tally:
    """How many refusals of each job have not been written down, and when they may be: some at once,
    then one write a second.
    """

    MAX_WRITES_AT_ONCE = 10
    MAX_JOBS = 1000

    def __init__(self) -> None:
        self._lock = Lock()
        # Writes allowed, as of when, and refusals that wait for one; by vendor and job.
        self._jobs: OrderedDict[tuple[str, str], tuple[float, float, int]] = OrderedDict()

    def add(self, vendor: str, job_id: str) -> int:
        """Count a refusal, and return how many are to be written down now."""
        now = time.monotonic()
        with self._lock:
            writes, at, waiting = self._jobs.pop(
                (vendor, job_id), (float(self.MAX_WRITES_AT_ONCE), now, 0)
            )
            writes, waiting = min(writes + now - at, self.MAX_WRITES_AT_ONCE), waiting + 1
            due = waiting if writes >= 1 else 0
            self._jobs[vendor, job_id] = (writes - 1, now, 0) if due else (writes, now, waiting)
            if len(self._jobs) > self.MAX_JOBS:
                self._jobs.popitem(last=False)
        return due


_tally = Tally()


def note(
    vendor: str, job_id: str, reason: str, *, body_bytes: int, now: datetime, run: int | None = None
) -> None:
    """Count a refused callback on its job, if the vendor has such a job. `run`: the job's present
    one where None is given.
    """
    count = _tally.add(vendor, job_id)
    if not count:
        return
    with patience(TIMEOUT_SECONDS):
        present = Job.objects.filter(pk=job_id, vendor=vendor).values_list("run", flat=True).first()
        if present is None:
            return
        run = run or present
        latest = {
            "reason": reason[:200],
            "body_bytes": min(body_bytes, MAX_BYTES_NOTED),
            "received_at": now,
        }
        key = hashlib.sha256(f"refused\n{vendor}\n{job_id}\n{run}".encode()).hexdigest()
        rows = Callback.objects.filter(key=key)
        with writing():
            if rows.update(times_received=F("times_received") + count, **latest):
                return
            row = Callback(
                key=key,
                vendor=vendor,
                job=job_id,
                run=run,
                verdict=Verdict.REFUSED,
                times_received=count,
                **latest,
            )
            if not all(bulk_writes.insert_each([row])):  # another was first
                rows.update(times_received=F("times_received") + count, **latest)


def hints(jobs: Iterable[Job]) -> dict[str, str]:
    """Return what is known of callbacks that came for these jobs in their present run and did not
    count, in words by job.
    """
    runs = {job.pk: job.run for job in jobs}
    by_job: dict[str, list[Callback]] = {}
    # The verdict is no condition: a store might read all callbacks of that verdict.
    for row in Callback.objects.filter(job__in=list(runs)).defer("body"):
        if row.run == runs[row.job] and row.verdict in (Verdict.REFUSED, Verdict.UNREADABLE):
            by_job.setdefault(row.job, []).append(row)
    return {job_id: _hint(of_job) for job_id, of_job in by_job.items()}


def _hint(rows: list[Callback]) -> str:
    sentences = []
    for row in rows:
        if row.verdict == Verdict.REFUSED:
            at, count, reason = row.received_at, row.times_received, row.reason or "not_an_object"
            which = (
                "A callback was refused"
                if count == 1
                else f"{count} callbacks were refused, the last one"
            )
            sentences.append(f"{which} at {at:%Y-%m-%d %H:%M:%S} UTC: {reason}.")
    if unreadable := sum(row.verdict == Verdict.UNREADABLE for row in rows):
        sentences.append(
            f"The adapter could not read {unreadable} callback{'s' if unreadable > 1 else ''}."
        )
    return " ".join(sentences)
