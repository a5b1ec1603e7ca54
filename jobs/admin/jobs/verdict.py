"""The sentence on top of a job's page: what is with the job, and what to do next."""

from dataclasses import dataclass

from django.utils import timezone

from jobs.admin import states
from jobs.admin.formats import counted
from jobs.admin.page import texts
from jobs.advice import advice_on
from jobs.models import OPEN, Job, Status
from jobs.queue.snapshot import Snapshot, take_snapshot
from vendors.base import Outcome
from vendors.catalogue import catalogue

KINDS = {Status.FAILED: "bad", Status.COMPLETE: "good", Status.CANCELLED: "off"}
WORDS = {Status.FAILED: "Failed", Status.COMPLETE: "Complete", Status.CANCELLED: "Cancelled"}
CANCELLED = "To have it done after all, retry it."


@dataclass(frozen=True)
class JobVerdict:
    """`kind`: its colour. `next_step`: '' if there is nothing to do. `meaning`: of the error."""

    kind: str
    sentence: str
    meaning: str = ""
    next_step: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the sentence begins with the status, instead of saying what the job waits for."""
        return self.kind not in ("info", "warning")


def verdict_on(job: Job) -> JobVerdict:
    """Return the verdict. For an open job, it asks Redis."""
    status = Status(job.status)
    if status in OPEN:
        vendor = catalogue.get(job.vendor)
        snapshot = take_snapshot([vendor] if vendor else [])
        return JobVerdict(_kind(job, snapshot), states.job_state(job, vendor, snapshot))
    ended = f"{WORDS[status]}{_ago(job)}"
    if status == Status.FAILED:
        advice = advice_on(job.error_code, has_failed=True)
        what = f"{ended}: {job.error_message or job.error_code}"
        return JobVerdict("bad", what, advice.meaning, advice.next_step)
    if status == Status.CANCELLED:
        return JobVerdict("off", f"{ended}.", next_step=CANCELLED)
    found = " The vendor has no data for this input." if job.outcome == Outcome.NO_DATA else ""
    return JobVerdict("good", f"{ended}, after {counted(job.attempt, 'attempt')}.{found}")


def _kind(job: Job, snapshot: Snapshot) -> str:
    is_stuck = not snapshot.redis_answers or catalogue.get(job.vendor) is None
    silent = job.status == Status.PROCESSING and snapshot.silent_seconds(job.worker)
    return "warning" if is_stuck or silent else "info"


def _ago(job: Job) -> str:
    if job.finished_at is None:
        return ""
    seconds = max((timezone.now() - job.finished_at).total_seconds(), 0)
    return f" {texts.words_of(seconds)} ago"
