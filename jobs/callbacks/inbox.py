"""Callbacks as they came in: stored first, then applied to their jobs, so that a crash between the
two loses nothing.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from jobs import failures, lifecycle
from jobs.callbacks import caps
from jobs.callbacks.reading import Answer, Unreadable, read
from jobs.callbacks.tokens import Try
from jobs.lifecycle import Move
from jobs.models import FINAL, Callback, Job, Status, Verdict
from jobs.queue import stream
from jobs.storage import bulk_writes
from jobs.storage.group_commit import GroupCommit
from jobs.storage.store import writing
from vendors.base import Done, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.payloads.cleaning import clean
from vendors.payloads.json_reader import VENDOR_JSON

log = logging.getLogger(__name__)

# What may still become applied: a job may be imported, an adapter corrected.
UNDECIDED = ("", Verdict.UNREADABLE, Verdict.UNMATCHED)


class NotAnObjectError(Exception):
    """The body is no JSON object that can be kept; the words say why and repeat nothing of it."""


class TooManyError(Exception):
    """So many callbacks are kept for the job that there is no room for one that can't be applied
    yet.
    """


def receive(
    vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime
) -> Verdict | None:
    """Store a callback and apply it, and return its verdict; None: it is applied later.

    `tried`: which attempt it answers, None without a token. `webhook_id`: of a signed request, else
    empty. Raises NotAnObjectError, or TooManyError where it was not kept and has to be sent again.
    """
    callback = _callback(vendor, job_id, tried, webhook_id=webhook_id, body=body, now=now)
    verdict = caps.verdict_without_room(callback)
    if verdict:
        caps.count_dropped(callback, verdict)
        return verdict
    callback = _store(callback)
    is_new = callback.times_received == 1
    verdict = apply(callback, vendor, now)
    if verdict != Verdict.APPLIED and is_new and not caps.keep(callback, verdict):
        caps.count_dropped(callback, verdict)
        if verdict in (None, Verdict.UNREADABLE) and caps.is_awaited(callback):
            raise TooManyError
    return verdict


def store(
    vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime
) -> Callback:
    """Store a cleaned callback and return it; a repeat is counted and returned as it was first.
    Arguments as for `receive`.
    """
    return _store(_callback(vendor, job_id, tried, webhook_id=webhook_id, body=body, now=now))


def apply(callback: Callback, vendor: Vendor | None, now: datetime) -> Verdict | None:
    """Let a stored callback end its job, unless it has its verdict already, and return the verdict.

    None: it has to be applied again later. `vendor` is None where it was deleted, which no open job
    allows.
    """
    if callback.verdict not in UNDECIDED:
        return Verdict(callback.verdict)
    if callback.run is None:
        return _judge(Verdict.UNMATCHED, callback)
    answer = read(callback.body, vendor) if vendor else None
    move = _move(callback, answer, now)
    if move and _applying.commit((callback, move)):
        stream.free_slots(callback.vendor, [callback.job])
        if move.to == Status.FAILED:
            failures.tell(callback.vendor, move)
        return Verdict.APPLIED
    verdict = _missed(callback, answer, move)
    if verdict is None:
        _put_off(callback)
        return None
    return _judge(verdict, callback, reason=answer.reason if isinstance(answer, Unreadable) else "")


def apply_pending(now: datetime, *, older_than: timedelta, limit: int) -> int:
    """Apply stored callbacks that have no verdict, the oldest first; returns how many have one now.

    `limit` is for each vendor, so that one of many callbacks holds up no other.
    """
    pending = Callback.objects.filter(verdict="", received_at__lte=now - older_than)
    settled = 0
    for slug in list(pending.values_list("vendor", flat=True).distinct()):
        # By one column, which an index gives the order of on both stores.
        oldest = pending.filter(vendor=slug).order_by("received_at").values_list("pk", flat=True)
        for callback in one_by_one(oldest[:limit]):
            settled += apply(callback, catalogue.get(slug), now) is not None
    return settled


def apply_of(job_ids: Sequence[str], now: datetime) -> None:
    """Apply the stored callbacks of these jobs that were not applied, also those that could not be
    read before.
    """
    # The verdict is no condition, here and below: a store might read all callbacks that have it.
    rows = Callback.objects.filter(job__in=job_ids).values_list("received_at", "pk", "verdict")
    for callback in one_by_one(pk for _, pk, verdict in sorted(rows) if verdict in UNDECIDED):
        apply(callback, catalogue.get(callback.vendor), now)


def apply_late(callback: Callback, now: datetime) -> bool:
    """Complete the job that failed only because this callback came late. False: it did not, and
    nothing was changed.
    """
    move = (
        _late_move(callback, _answer(callback), now) if callback.verdict == Verdict.LATE else None
    )
    return move is not None and _applying.commit((callback, move))


def can_be_applied(callback: Callback, now: datetime) -> bool:
    """Whether `apply`, or `apply_late` after it, would let a stored callback end its job now;
    nothing is changed.
    """
    if callback.run is None:
        return False
    answer = _answer(callback)
    moves = [_late_move(callback, answer, now)]
    if callback.verdict in UNDECIDED:
        moves.append(_move(callback, answer, now))
    return any(lifecycle.is_possible(move) for move in moves if move)


def one_by_one(callback_ids: Iterable[str]) -> Iterator[Callback]:
    """Read callbacks by their ids, one at a time, because a body may be large; those deleted
    meanwhile are passed over.
    """
    for callback_id in list(callback_ids):
        callback = Callback.objects.filter(pk=callback_id).first()
        if callback:
            yield callback


def _callback(
    vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime
) -> Callback:
    try:
        payload = VENDOR_JSON.read_object(body)
    except ValueError as error:
        raise NotAnObjectError(str(error)) from None
    run, attempt = tried or (None, None)
    # With the body: a vendor that was told what was wrong with a message sends it again, put right,
    # under the same id.
    parts = (vendor.slug, job_id, run, attempt, webhook_id, hashlib.sha256(body).hexdigest())
    return Callback(
        key=hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest(),
        vendor=vendor.slug,
        job=job_id,
        run=run,
        attempt=attempt,
        body=clean(payload, vendor.redacted_fields),
        body_bytes=len(body),
        received_at=now,
    )


def _store(callback: Callback) -> Callback:
    while not _storing.commit(callback):
        same = Callback.objects.filter(key=callback.key)
        with writing():
            same.update(times_received=F("times_received") + 1)
        if stored := same.first():  # else it was deleted just now
            return stored
    return callback


def _answer(callback: Callback) -> Answer | Unreadable | None:
    vendor = catalogue.get(callback.vendor)
    return read(callback.body, vendor) if vendor else None


def _move(callback: Callback, answer: Answer | Unreadable | None, now: datetime) -> Move | None:
    match answer:
        case Done(result):
            return lifecycle.complete_by_callback(
                callback.job, result, **_attempt(callback), now=now
            )
        case VendorError():
            return lifecycle.fail_by_callback(
                callback.job, answer.code, answer.message, **_attempt(callback), now=now
            )
        case _:
            return None


def _late_move(
    callback: Callback, answer: Answer | Unreadable | None, now: datetime
) -> Move | None:
    if not isinstance(answer, Done):
        return None
    return lifecycle.complete_overdue(callback.job, answer.result, **_attempt(callback), now=now)


def _attempt(callback: Callback) -> dict[str, Any]:
    return {"vendor": callback.vendor, "run": callback.run, "attempt": callback.attempt}


def _apply_each(moves: Sequence[tuple[Callback, Move]]) -> list[bool]:
    # One commit on SQLite; on MongoDB a crash in between is found out by _was_applied.
    happened = lifecycle.apply([move for _, move in moves])
    _judge(
        Verdict.APPLIED,
        *(callback for (callback, _), yes in zip(moves, happened, strict=True) if yes),
    )
    return happened


def _missed(
    callback: Callback, answer: Answer | Unreadable | None, move: Move | None
) -> Verdict | None:
    """Return why the callback did not end its job; None where it still may."""
    job = Job.objects.filter(pk=callback.job, vendor=callback.vendor).first()
    if job is None:
        return Verdict.UNMATCHED
    if isinstance(answer, Unreadable):
        return Verdict.UNREADABLE
    if (
        job.run == callback.run
        and job.status not in FINAL
        and not _is_about_an_earlier_failure(callback, job, move)
    ):
        return None
    return Verdict.APPLIED if move and _was_applied(callback, job, move) else Verdict.LATE


def _is_about_an_earlier_failure(callback: Callback, job: Job, move: Move | None) -> bool:
    """Whether it reports the failure of an attempt that is over: another is being made, or will be."""
    is_failure = move is not None and move.to == Status.FAILED
    return is_failure and (job.status == Status.QUEUED or job.attempt != callback.attempt)


def _was_applied(callback: Callback, job: Job, move: Move) -> bool:
    """Whether the job holds just what this callback says and owes it to no other callback."""
    said = {
        name: move.changes[name]
        for name in ("result", "error_code", "error_message")
        if name in move.changes
    }
    held = {name: getattr(job, name) for name in said}
    if (job.run, job.status, held) != (callback.run, move.to, said):
        return False
    others = (
        Callback.objects.filter(job=job.pk, run=job.run)
        .exclude(pk=callback.pk)
        .values_list("verdict", flat=True)
    )
    return Verdict.APPLIED not in others


def _judge(verdict: Verdict, *callbacks: Callback, reason: str = "") -> Verdict:
    rows = Callback.objects.filter(pk__in=[callback.pk for callback in callbacks])
    if verdict != Verdict.APPLIED:
        # A repeat of it may have been applied meanwhile, and that is what counts.
        rows = rows.filter(verdict__in=UNDECIDED)
        for callback in callbacks:
            level = (
                logging.ERROR if verdict == Verdict.UNREADABLE != callback.verdict else logging.INFO
            )
            why = f": {reason}" if reason else ""
            log.log(
                level,
                "A callback of vendor %s for job %s is %s%s",
                callback.vendor,
                callback.job,
                verdict,
                why,
            )
    with writing():
        rows.update(verdict=verdict, reason=reason[:200])
    for callback in callbacks:
        callback.verdict = verdict
    return verdict


def _put_off(callback: Callback) -> None:
    """It can be applied later, and needs no verdict until then, whatever it had before."""
    if callback.verdict:
        with writing():
            Callback.objects.filter(pk=callback.pk, verdict__in=UNDECIDED).update(
                verdict="", reason=""
            )


# Callbacks that come in together share commits, as jobs do.
_storing: GroupCommit[Callback, bool] = GroupCommit(bulk_writes.insert_each)
_applying = GroupCommit(_apply_each)
