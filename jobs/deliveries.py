"""Callbacks: stored first, or together with what they do to their jobs, so that a crash between the two loses nothing."""

import json
import logging
import traceback
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection
from django.db.models import F

from jobs import batch, failures, lifecycle, stream
from jobs.lifecycle import Move
from jobs.models import FINAL, Delivery, Job, Status, Verdict
from jobs.received import received
from jobs.store import writing
from jobs.tokens import Try
from vendors.base import Done, VendorError
from vendors.catalogue import catalogue
from vendors.cleaning import clean
from vendors.models import Vendor

log = logging.getLogger(__name__)

# An adapter's fault is logged that long, for the sweep meets it every few seconds until somebody mends the adapter.
SAID_FOR = timedelta(minutes=1)


def take(vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime) -> Verdict | None:
    """Store a callback as `store` does, apply it, and return its verdict; in SQL, what ends its job does both in one commit."""
    delivery = received(vendor, job_id, tried, webhook_id=webhook_id, body=body, now=now)
    move = _move(delivery, vendor, now)
    if move and connection.vendor != "mongodb" and _happened_and_stored(delivery, move):
        _tell(delivery, move)
        return Verdict.APPLIED
    stored = _stored(delivery)
    return _apply(stored, move) if stored is delivery else apply(stored, vendor, now)


def store(vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime) -> Delivery:
    """Store a callback, cleaned, and return it; a repeat is counted, and returned as it was stored the first time.

    `tried`: which try it answers, None where no token says so. `webhook_id`: of a signed request, else empty.
    """
    return _stored(received(vendor, job_id, tried, webhook_id=webhook_id, body=body, now=now))


def apply(delivery: Delivery, vendor: Vendor | None, now: datetime) -> Verdict | None:
    """Let a stored callback end its job, unless it has its verdict already, and return the verdict.

    None: it has to be applied again later. `vendor` is None where it was deleted, which no open job allows.
    """
    return _apply(delivery, _move(delivery, vendor, now))


def apply_pending(now: datetime, *, older_than: timedelta, limit: int) -> int:
    """Apply stored callbacks that have no verdict, the oldest first; returns how many have one now.

    `limit` is for each vendor, so that one whose adapter can't read its callbacks holds up no other.
    """
    pending = Delivery.objects.filter(verdict="", received_at__lte=now - older_than)
    settled = 0
    for slug in list(pending.values_list("vendor", flat=True).distinct()):
        # By one column, which an index gives the order of on both stores.
        oldest = pending.filter(vendor=slug).order_by("received_at").values_list("pk", flat=True)
        # One by one, because a body may be large.
        for delivery_id in list(oldest[:limit]):
            settled += apply(Delivery.objects.get(pk=delivery_id), catalogue.get(slug), now) is not None
    return settled


def apply_of(job_ids: Sequence[str], now: datetime) -> None:
    """Apply the stored callbacks of these jobs that have no verdict yet."""
    for delivery in Delivery.objects.filter(job__in=job_ids, verdict="").order_by("received_at"):
        apply(delivery, catalogue.get(delivery.vendor), now)


def apply_late(delivery: Delivery, now: datetime) -> bool:
    """Complete the job that failed only because this callback came late. False: it did not, and nothing was changed."""
    answer = _read(delivery, catalogue.get(delivery.vendor), now) if delivery.verdict == Verdict.LATE else None
    if not isinstance(answer, Done):
        return False
    return _happened(delivery, lifecycle.complete_overdue(delivery.job, answer.result, **_try(delivery), now=now))


def _stored(delivery: Delivery) -> Delivery:
    """Store it, or count it as a repeat of one that is there, and return what is there."""
    try:
        # On SQLite a failed insert would spoil the transaction around it, were it not in a block of its own.
        with writing():
            delivery.save(force_insert=True)
    except IntegrityError:
        with writing():
            Delivery.objects.filter(key=delivery.key).update(times_received=F("times_received") + 1)
        return Delivery.objects.get(key=delivery.key)
    return delivery


def _apply(delivery: Delivery, move: Move | None) -> Verdict | None:
    if delivery.verdict:
        return Verdict(delivery.verdict)
    if delivery.run is None:
        return _judge(delivery, Verdict.UNMATCHED)
    if move and _happened(delivery, move):
        _tell(delivery, move)
        return Verdict.APPLIED
    verdict = _missed(delivery, move)
    return _judge(delivery, verdict) if verdict else None


def _read(delivery: Delivery, vendor: Vendor | None, now: datetime) -> Done | VendorError | None:
    """Return what the vendor's adapter finds in the callback; None where a fault of the adapter keeps it from reading."""
    if vendor is None:
        return None
    try:
        result = clean(catalogue.adapter(vendor).read_callback(delivery.body).result, vendor.redacted_fields)
        json.dumps(result, allow_nan=False)
        return Done(result)
    except VendorError as error:
        return error
    except Exception as error:
        if now - delivery.received_at < SAID_FOR:
            _say_where(delivery, error)
        return None


def _say_where(delivery: Delivery, error: Exception) -> None:
    # Not the exception's own words: they may quote the callback.
    place = traceback.extract_tb(error.__traceback__)[-1]
    words = "A callback for job %s is kept until the adapter of vendor %s can read it: %s at %s line %s"
    log.error(words, delivery.job, delivery.vendor, type(error).__name__, place.filename, place.lineno)


def _move(delivery: Delivery, vendor: Vendor | None, now: datetime) -> Move | None:
    """Return the move that it makes; None where it makes none, or can't be read."""
    if delivery.verdict or delivery.run is None:
        return None
    match _read(delivery, vendor, now):
        case Done(result):
            return lifecycle.complete_by_callback(delivery.job, result, **_try(delivery), now=now)
        case VendorError(code=code, message=message):
            return lifecycle.fail_by_callback(delivery.job, code, message, **_try(delivery), now=now)
    return None


def _try(delivery: Delivery) -> dict[str, Any]:
    return {"run": delivery.run, "attempt": delivery.attempt}


def _happened(delivery: Delivery, move: Move) -> bool:
    # One commit on SQLite; on MongoDB a crash in between is found out by _was_applied.
    with writing():
        [happened] = lifecycle.apply([move])
        if happened:
            _judge(delivery, Verdict.APPLIED)
    return happened


def _happened_and_stored(delivery: Delivery, move: Move) -> bool:
    """Make the move and store its callback, in one commit. False: the move was refused, or the callback is there already."""
    try:
        with writing():
            [happened] = lifecycle.apply([move])
            if happened:
                delivery.verdict = Verdict.APPLIED
                batch.insert_each([delivery])
    except IntegrityError:
        delivery.verdict = ""
        return False
    return happened


def _tell(delivery: Delivery, move: Move) -> None:
    """Say what came of it, when it is committed."""
    stream.release(delivery.vendor, [delivery.job])
    if move.to == Status.FAILED:
        failures.tell(delivery.vendor, move)


def _missed(delivery: Delivery, move: Move | None) -> Verdict | None:
    """Return why the callback did not end its job; None where it still may."""
    job = Job.objects.filter(pk=delivery.job).first()
    if job is None:
        return Verdict.UNMATCHED
    if job.run == delivery.run and job.status not in FINAL and not _is_about_an_earlier_failure(delivery, job, move):
        return None
    return Verdict.APPLIED if move and _was_applied(delivery, job, move) else Verdict.LATE


def _is_about_an_earlier_failure(delivery: Delivery, job: Job, move: Move | None) -> bool:
    """Whether it reports the failure of a try that is over: another is being made, or will be."""
    if move is None or move.to != Status.FAILED:
        return False
    return job.status == Status.QUEUED or job.attempt != delivery.attempt


def _was_applied(delivery: Delivery, job: Job, move: Move) -> bool:
    """Whether the job holds just what this callback says and owes it to no other callback."""
    said = {name: move.changes[name] for name in ("result", "error_code", "error_message") if name in move.changes}
    held = {name: getattr(job, name) for name in said}
    if (job.run, job.status, held) != (delivery.run, move.to, said):
        return False
    return not Delivery.objects.filter(job=job.pk, run=job.run, verdict=Verdict.APPLIED).exclude(pk=delivery.pk).exists()


def _judge(delivery: Delivery, verdict: Verdict) -> Verdict:
    rows = Delivery.objects.filter(pk=delivery.pk)
    if verdict != Verdict.APPLIED:
        # A repeat of it may have been applied meanwhile, and that is what counts.
        rows = rows.filter(verdict="")
        log.info("A callback of vendor %s for job %s is %s", delivery.vendor, delivery.job, verdict)
    with writing():
        rows.update(verdict=verdict)
    delivery.verdict = verdict
    return verdict
