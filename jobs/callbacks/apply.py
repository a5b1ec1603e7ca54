"""Applies stored callbacks: read → move the job → settle, or record why the callback had no effect.

`apply` is used for every callback; the other functions choose which ones.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs import failures, lifecycle
from jobs.callbacks.read import EQUAL_NAMES, Answer, Unreadable, read
from jobs.lifecycle import Move
from jobs.models import FINAL, Callback, Job, Status, Verdict
from jobs.queue import stream
from jobs.storage.group_commit import GroupCommit
from jobs.storage.store import writing
from vendors.base import Done, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)

# Verdicts that may still change: the job may be imported, the adapter may be fixed.
UNDECIDED = ("", Verdict.UNREADABLE, Verdict.UNMATCHED)


def apply(
    callback: Callback, vendor: Vendor | None, now: datetime, *, by_operator: bool = False
) -> Verdict | None:
    """End the job of a stored callback, unless the callback has its verdict already; return the
    verdict.

    A callback with two fields of the same name is applied `by_operator` only.

    None means that it must be applied again later. `vendor` is None if it was deleted, which is
    impossible while it has open jobs.
    """
    if callback.verdict not in UNDECIDED:
        return Verdict(callback.verdict)
    if callback.run is None:
        return _record(Verdict.UNMATCHED, callback)
    if callback.reason == EQUAL_NAMES and not by_operator:
        answer: Answer | Unreadable | None = Unreadable(EQUAL_NAMES)
    else:
        answer = read(callback.body, vendor) if vendor else None
    move = _move(callback, answer, now)
    if move and _applying.commit((callback, move)):
        _settle(callback, move)
        return Verdict.APPLIED
    verdict = _verdict_without_effect(callback, answer, move)
    if verdict is None:
        _postpone(callback)
        return None
    reason = answer.reason if isinstance(answer, Unreadable) else ""
    return _record(verdict, callback, reason=reason)


def apply_pending(now: datetime, *, older_than: timedelta, limit: int) -> int:
    """Apply stored callbacks without a verdict, oldest first; return how many have one now.

    `limit` is per vendor, so that a vendor with many callbacks does not delay the others.
    """
    pending = Callback.objects.filter(verdict="", received_at__lte=now - older_than)
    decided = 0
    for slug in list(pending.values_list("vendor", flat=True).distinct()):
        # Ordered by one column, so that an index serves the order on both stores.
        oldest = pending.filter(vendor=slug).order_by("received_at").values_list("pk", flat=True)
        for callback in load_each(oldest[:limit]):
            decided += apply(callback, catalogue.get(slug), now) is not None
    return decided


def apply_for_jobs(job_ids: Sequence[str], now: datetime) -> None:
    """Apply the undecided callbacks of these jobs, including unreadable ones."""
    # The verdict is not in the filter, here and below: a store might read every callback with it.
    rows = Callback.objects.filter(job__in=job_ids).values_list("received_at", "pk", "verdict")
    for callback in load_each(pk for _, pk, verdict in sorted(rows) if verdict in UNDECIDED):
        apply(callback, catalogue.get(callback.vendor), now)


def apply_late(callback: Callback, now: datetime) -> bool:
    """Complete a job that failed only because this callback came late. Return False, and change
    nothing, if that is not why it failed.
    """
    if callback.verdict != Verdict.LATE:
        return False
    move = _late_move(callback, _answer(callback), now)
    if move is None or not _applying.commit((callback, move)):
        return False
    _settle(callback, move)
    return True


def can_be_applied(callback: Callback, now: datetime) -> bool:
    """Return whether `apply`, or `apply_late` after it, would end the job now. Changes nothing."""
    if callback.run is None:
        return False
    answer = _answer(callback)
    moves = [_late_move(callback, answer, now)]
    if callback.verdict in UNDECIDED:
        moves.append(_move(callback, answer, now))
    return any(_is_possible(move) for move in moves if move)


def _is_possible(move: Move) -> bool:
    jobs = Job.objects.filter(pk=move.job_id, status__in=move.sources, **move.fence)
    return jobs.exists()


def load_each(callback_ids: Iterable[str]) -> Iterator[Callback]:
    """Load callbacks one at a time, because a body may be large. Skips those deleted meanwhile."""
    for callback_id in list(callback_ids):
        callback = Callback.objects.filter(pk=callback_id).first()
        if callback:
            yield callback


def _answer(callback: Callback) -> Answer | Unreadable | None:
    vendor = catalogue.get(callback.vendor)
    return read(callback.body, vendor) if vendor else None


def _move(callback: Callback, answer: Answer | Unreadable | None, now: datetime) -> Move | None:
    ref = _attempt(callback)
    match answer:
        case Done() as done:
            return lifecycle.complete_by_callback(callback.job, done, **ref, now=now)
        case VendorError(code=code, message=message):
            return lifecycle.fail_by_callback(callback.job, code, message, **ref, now=now)
        case _:
            return None


def _late_move(
    callback: Callback, answer: Answer | Unreadable | None, now: datetime
) -> Move | None:
    if not isinstance(answer, Done):
        return None
    return lifecycle.complete_overdue(callback.job, answer, **_attempt(callback), now=now)


def _attempt(callback: Callback) -> dict[str, Any]:
    return {"vendor": callback.vendor, "run": callback.run, "attempt": callback.attempt}


def _apply_each(moves: Sequence[tuple[Callback, Move]]) -> list[bool]:
    # One commit on SQLite; on MongoDB, _was_applied detects a crash between the two writes.
    applied = lifecycle.apply([move for _, move in moves])
    callbacks = [callback for (callback, _), yes in zip(moves, applied, strict=True) if yes]
    _record(Verdict.APPLIED, *callbacks)
    return applied


def _settle(callback: Callback, move: Move) -> None:
    stream.settle_final(callback.vendor, [callback.job])
    if move.to == Status.FAILED:
        failures.report(callback.vendor, move)


def _verdict_without_effect(
    callback: Callback, answer: Answer | Unreadable | None, move: Move | None
) -> Verdict | None:
    """Return why the callback did not end its job; None if it may still do so."""
    job = Job.objects.filter(pk=callback.job, vendor=callback.vendor).first()
    if job is None:
        return Verdict.UNMATCHED
    if isinstance(answer, Unreadable):
        return Verdict.UNREADABLE
    is_open = job.run == callback.run and job.status not in FINAL
    if is_open and not _reports_an_earlier_failure(callback, job, move):
        return None
    return Verdict.APPLIED if move and _was_applied(callback, job, move) else Verdict.LATE


def _reports_an_earlier_failure(callback: Callback, job: Job, move: Move | None) -> bool:
    """Whether it reports the failure of an attempt that was, or will be, followed by another."""
    is_failure = move is not None and move.to == Status.FAILED
    return is_failure and (job.status == Status.QUEUED or job.attempt != callback.attempt)


def _was_applied(callback: Callback, job: Job, move: Move) -> bool:
    """Whether the job has exactly the outcome in this callback, and no other callback ended it."""
    names = ("result", "error_code", "error_message")
    expected = {name: move.changes[name] for name in names if name in move.changes}
    found = {name: getattr(job, name) for name in expected}
    if (job.run, job.status, found) != (callback.run, move.to, expected):
        return False
    others = Callback.objects.filter(job=job.pk, run=job.run).exclude(pk=callback.pk)
    return Verdict.APPLIED not in others.values_list("verdict", flat=True)


def _record(verdict: Verdict, *callbacks: Callback, reason: str = "") -> Verdict:
    rows = Callback.objects.filter(pk__in=[callback.pk for callback in callbacks])
    if verdict != Verdict.APPLIED:
        # A repeat may have been applied meanwhile, and its verdict stands.
        rows = rows.filter(verdict__in=UNDECIDED)
        for callback in callbacks:
            _log(verdict, callback, reason)
    with writing():
        rows.update(verdict=verdict, reason=reason[:200])
    for callback in callbacks:
        callback.verdict = verdict
    return verdict


def _log(verdict: Verdict, callback: Callback, reason: str) -> None:
    is_newly_unreadable = verdict == Verdict.UNREADABLE != callback.verdict
    level = logging.ERROR if is_newly_unreadable else logging.INFO
    text = "Callback from vendor %s for job %s is %s%s"
    log.log(level, text, callback.vendor, callback.job, verdict, reason and f": {reason}")


def _postpone(callback: Callback) -> None:
    """Clear the verdict, so that the sweep applies the callback again."""
    if callback.verdict:
        rows = Callback.objects.filter(pk=callback.pk, verdict__in=UNDECIDED)
        with writing():
            rows.update(verdict="", reason="")


# Callbacks that are applied together share a commit.
_applying = GroupCommit(_apply_each)
