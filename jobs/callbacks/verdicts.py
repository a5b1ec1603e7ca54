"""Why a callback had no effect on its job."""

from jobs.callbacks.read import Answer, Unreadable
from jobs.lifecycle import Move
from jobs.models import FINAL, Attempt, Callback, Job, Kind, Status, Verdict
from vendors.base import Done, Outcome


def verdict_without_effect(
    callback: Callback, answer: Answer | Unreadable | None, move: Move | None
) -> Verdict | None:
    """Return why the callback did not end its job; None if it may still do so."""
    job = Job.objects.filter(pk=callback.job, vendor=callback.vendor).first()
    if job is None:
        return Verdict.UNMATCHED
    if isinstance(answer, Unreadable):
        return Verdict.UNREADABLE
    is_open = job.run == callback.run and job.status not in FINAL
    if is_open and not _concerns_an_earlier_attempt(callback, job, answer):
        return None
    return Verdict.APPLIED if move and _was_applied(callback, job, move) else Verdict.LATE


def _concerns_an_earlier_attempt(
    callback: Callback, job: Job, answer: Answer | Unreadable | None
) -> bool:
    """Whether it is about an attempt that was, or will be, followed by another. Only a result of
    such an attempt counts.
    """
    is_result = answer is None or isinstance(answer, Done)
    return not is_result and (job.status == Status.QUEUED or job.attempt != callback.attempt)


def _was_applied(callback: Callback, job: Job, move: Move) -> bool:
    """Whether the job has exactly the outcome in this callback, and nothing else ended it."""
    names = ("result", "error_code", "error_message")
    expected = {name: move.changes[name] for name in names if name in move.changes}
    found = {name: getattr(job, name) for name in expected}
    if (job.run, job.status, found) != (callback.run, move.to, expected):
        return False
    others = Callback.objects.filter(job=job.pk, run=job.run).exclude(pk=callback.pk)
    if Verdict.APPLIED in others.values_list("verdict", flat=True):
        return False
    polls = Attempt.objects.filter(job=job.pk, run=job.run, kind=Kind.POLL)
    return not polls.filter(outcome__in=(Outcome.FOUND, Outcome.NO_DATA)).exists()
