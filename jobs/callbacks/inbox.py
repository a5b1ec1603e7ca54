"""Callbacks as they came in: stored first, then applied to their jobs, so that a crash between the two loses nothing."""

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
from jobs.models import FINAL, Delivery, Job, Status, Verdict
from jobs.queue import stream
from jobs.storage import bulk_writes
from jobs.storage.group_commit import GroupCommit
from jobs.storage.store import writing
from vendors.base import Done, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.payloads import json_object
from vendors.payloads.cleaning import clean

log = logging.getLogger(__name__)

# What may still become applied: a job may be imported, an adapter corrected.
UNDECIDED = ("", Verdict.UNREADABLE, Verdict.UNMATCHED)


class NotAnObjectError(Exception):
    """The body is no JSON object that can be kept; the words say why and repeat nothing of it."""


class TooManyError(Exception):
    """So many callbacks are kept for the job that there is no room for one that can't be applied yet."""


def receive(vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime) -> Verdict | None:
    """Store a callback and apply it, and return its verdict; None: it is applied later.

    `tried`: which attempt it answers, None without a token. `webhook_id`: of a signed request, else empty.
    Raises NotAnObjectError, or TooManyError where it was not kept and has to be sent again.
    """
    delivery = _delivery(vendor, job_id, tried, webhook_id=webhook_id, body=body, now=now)
    verdict = caps.verdict_without_room(delivery)
    if verdict:
        caps.count_dropped(delivery, verdict)
        return verdict
    delivery = _store(delivery)
    is_new = delivery.times_received == 1
    verdict = apply(delivery, vendor, now)
    if verdict != Verdict.APPLIED and is_new and not caps.keep(delivery, verdict):
        caps.count_dropped(delivery, verdict)
        if verdict in (None, Verdict.UNREADABLE) and caps.is_awaited(delivery):
            raise TooManyError
    return verdict


def store(vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime) -> Delivery:
    """Store a cleaned callback and return it; a repeat is counted and returned as it was first. Arguments as for `receive`."""
    return _store(_delivery(vendor, job_id, tried, webhook_id=webhook_id, body=body, now=now))


def apply(delivery: Delivery, vendor: Vendor | None, now: datetime) -> Verdict | None:
    """Let a stored callback end its job, unless it has its verdict already, and return the verdict.

    None: it has to be applied again later. `vendor` is None where it was deleted, which no open job allows.
    """
    if delivery.verdict not in UNDECIDED:
        return Verdict(delivery.verdict)
    if delivery.run is None:
        return _judge(Verdict.UNMATCHED, delivery)
    answer = read(delivery.body, vendor) if vendor else None
    move = _move(delivery, answer, now)
    if move and _applying.commit((delivery, move)):
        stream.release(delivery.vendor, [delivery.job])
        if move.to == Status.FAILED:
            failures.tell(delivery.vendor, move)
        return Verdict.APPLIED
    verdict = _missed(delivery, answer, move)
    if verdict is None:
        _put_off(delivery)
        return None
    return _judge(verdict, delivery, reason=answer.reason if isinstance(answer, Unreadable) else "")


def apply_pending(now: datetime, *, older_than: timedelta, limit: int) -> int:
    """Apply stored callbacks that have no verdict, the oldest first; returns how many have one now.

    `limit` is for each vendor, so that one of many callbacks holds up no other.
    """
    pending = Delivery.objects.filter(verdict="", received_at__lte=now - older_than)
    settled = 0
    for slug in list(pending.values_list("vendor", flat=True).distinct()):
        # By one column, which an index gives the order of on both stores.
        oldest = pending.filter(vendor=slug).order_by("received_at").values_list("pk", flat=True)
        for delivery in one_by_one(oldest[:limit]):
            settled += apply(delivery, catalogue.get(slug), now) is not None
    return settled


def apply_of(job_ids: Sequence[str], now: datetime) -> None:
    """Apply the stored callbacks of these jobs that were not applied, also those that could not be read before."""
    # The verdict is no condition, here and below: a store might read all callbacks that have it.
    rows = Delivery.objects.filter(job__in=job_ids).values_list("received_at", "pk", "verdict")
    for delivery in one_by_one(pk for _, pk, verdict in sorted(rows) if verdict in UNDECIDED):
        apply(delivery, catalogue.get(delivery.vendor), now)


def apply_late(delivery: Delivery, now: datetime) -> bool:
    """Complete the job that failed only because this callback came late. False: it did not, and nothing was changed."""
    move = _late_move(delivery, _answer(delivery), now) if delivery.verdict == Verdict.LATE else None
    return move is not None and _applying.commit((delivery, move))


def can_be_applied(delivery: Delivery, now: datetime) -> bool:
    """Whether `apply`, or `apply_late` after it, would let a stored callback end its job now; nothing is changed."""
    if delivery.run is None:
        return False
    answer = _answer(delivery)
    moves = [_late_move(delivery, answer, now)]
    if delivery.verdict in UNDECIDED:
        moves.append(_move(delivery, answer, now))
    return any(lifecycle.is_possible(move) for move in moves if move)


def one_by_one(delivery_ids: Iterable[str]) -> Iterator[Delivery]:
    """Read callbacks by their ids, one at a time, because a body may be large; those deleted meanwhile are passed over."""
    for delivery_id in list(delivery_ids):
        delivery = Delivery.objects.filter(pk=delivery_id).first()
        if delivery:
            yield delivery


def _delivery(vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime) -> Delivery:
    try:
        payload = json_object.read(body)
    except ValueError as error:
        raise NotAnObjectError(str(error)) from None
    run, attempt = tried or (None, None)
    # With the body: a vendor that was told what was wrong with a message sends it again, put right, under the same id.
    parts = (vendor.slug, job_id, run, attempt, webhook_id, hashlib.sha256(body).hexdigest())
    return Delivery(
        key=hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest(),
        vendor=vendor.slug,
        job=job_id,
        run=run,
        attempt=attempt,
        body=clean(payload, vendor.redacted_fields),
        body_bytes=len(body),
        received_at=now,
    )


def _store(delivery: Delivery) -> Delivery:
    while not _storing.commit(delivery):
        same = Delivery.objects.filter(key=delivery.key)
        with writing():
            same.update(times_received=F("times_received") + 1)
        if stored := same.first():  # else it was deleted just now
            return stored
    return delivery


def _answer(delivery: Delivery) -> Answer | Unreadable | None:
    vendor = catalogue.get(delivery.vendor)
    return read(delivery.body, vendor) if vendor else None


def _move(delivery: Delivery, answer: Answer | Unreadable | None, now: datetime) -> Move | None:
    match answer:
        case Done(result):
            return lifecycle.complete_by_callback(delivery.job, result, **_attempt(delivery), now=now)
        case VendorError():
            return lifecycle.fail_by_callback(delivery.job, answer.code, answer.message, **_attempt(delivery), now=now)
        case _:
            return None


def _late_move(delivery: Delivery, answer: Answer | Unreadable | None, now: datetime) -> Move | None:
    if not isinstance(answer, Done):
        return None
    return lifecycle.complete_overdue(delivery.job, answer.result, **_attempt(delivery), now=now)


def _attempt(delivery: Delivery) -> dict[str, Any]:
    return {"vendor": delivery.vendor, "run": delivery.run, "attempt": delivery.attempt}


def _apply_each(moves: Sequence[tuple[Delivery, Move]]) -> list[bool]:
    # One commit on SQLite; on MongoDB a crash in between is found out by _was_applied.
    happened = lifecycle.apply([move for _, move in moves])
    _judge(Verdict.APPLIED, *(delivery for (delivery, _), yes in zip(moves, happened, strict=True) if yes))
    return happened


def _missed(delivery: Delivery, answer: Answer | Unreadable | None, move: Move | None) -> Verdict | None:
    """Return why the callback did not end its job; None where it still may."""
    job = Job.objects.filter(pk=delivery.job, vendor=delivery.vendor).first()
    if job is None:
        return Verdict.UNMATCHED
    if isinstance(answer, Unreadable):
        return Verdict.UNREADABLE
    if job.run == delivery.run and job.status not in FINAL and not _is_about_an_earlier_failure(delivery, job, move):
        return None
    return Verdict.APPLIED if move and _was_applied(delivery, job, move) else Verdict.LATE


def _is_about_an_earlier_failure(delivery: Delivery, job: Job, move: Move | None) -> bool:
    """Whether it reports the failure of an attempt that is over: another is being made, or will be."""
    is_failure = move is not None and move.to == Status.FAILED
    return is_failure and (job.status == Status.QUEUED or job.attempt != delivery.attempt)


def _was_applied(delivery: Delivery, job: Job, move: Move) -> bool:
    """Whether the job holds just what this callback says and owes it to no other callback."""
    said = {name: move.changes[name] for name in ("result", "error_code", "error_message") if name in move.changes}
    held = {name: getattr(job, name) for name in said}
    if (job.run, job.status, held) != (delivery.run, move.to, said):
        return False
    others = Delivery.objects.filter(job=job.pk, run=job.run).exclude(pk=delivery.pk).values_list("verdict", flat=True)
    return Verdict.APPLIED not in others


def _judge(verdict: Verdict, *deliveries: Delivery, reason: str = "") -> Verdict:
    rows = Delivery.objects.filter(pk__in=[delivery.pk for delivery in deliveries])
    if verdict != Verdict.APPLIED:
        # A repeat of it may have been applied meanwhile, and that is what counts.
        rows = rows.filter(verdict__in=UNDECIDED)
        for delivery in deliveries:
            level = logging.ERROR if verdict == Verdict.UNREADABLE != delivery.verdict else logging.INFO
            why = f": {reason}" if reason else ""
            log.log(level, "A callback of vendor %s for job %s is %s%s", delivery.vendor, delivery.job, verdict, why)
    with writing():
        rows.update(verdict=verdict, reason=reason[:200])
    for delivery in deliveries:
        delivery.verdict = verdict
    return verdict


def _put_off(delivery: Delivery) -> None:
    """It can be applied later, and needs no verdict until then, whatever it had before."""
    if delivery.verdict:
        with writing():
            Delivery.objects.filter(pk=delivery.pk, verdict__in=UNDECIDED).update(verdict="", reason="")


# Callbacks that come in together share commits, as jobs do.
_storing: GroupCommit[Delivery, bool] = GroupCommit(bulk_writes.insert_each)
_applying = GroupCommit(_apply_each)
