"""Callbacks as they came in: stored first, then applied to their jobs, so that a crash between the two loses nothing."""

import hashlib
import json
import logging
import math
import traceback
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from jobs import batch, failures, lifecycle, stream
from jobs.group_commit import GroupCommit
from jobs.lifecycle import Move
from jobs.models import FINAL, Delivery, Job, Status, Verdict
from jobs.store import writing
from jobs.tokens import Try
from vendors import exact
from vendors.base import Done, VendorError
from vendors.catalogue import catalogue
from vendors.cleaning import clean
from vendors.models import Vendor

log = logging.getLogger(__name__)

MOST_LEVELS = 100
# An adapter's fault is logged that long, for the sweep meets it every few seconds until somebody mends the adapter.
SAID_FOR = timedelta(minutes=1)


def store(vendor: Vendor, job_id: str, tried: Try | None, *, webhook_id: str, body: bytes, now: datetime) -> Delivery:
    """Store a callback, cleaned, and return it; a repeat is counted, and returned as it was stored the first time.

    `tried`: which try it answers, None where no token says so. `webhook_id`: of a signed request, else empty.
    """
    payload = _parsed(body)
    run, attempt = tried or (None, None)
    delivery = Delivery(
        key=_key(vendor.slug, job_id, run, attempt, webhook_id or hashlib.sha256(body).hexdigest()),
        vendor=vendor.slug,
        job=job_id,
        run=run,
        attempt=attempt,
        body=clean(payload, vendor.redacted_fields),
        body_bytes=len(body),
        verdict="" if isinstance(payload, dict) else Verdict.REFUSED,
        received_at=now,
    )
    if _storing.commit(delivery):
        return delivery
    with writing():
        Delivery.objects.filter(key=delivery.key).update(times_received=F("times_received") + 1)
    return Delivery.objects.get(key=delivery.key)


def apply(delivery: Delivery, vendor: Vendor | None, now: datetime) -> Verdict | None:
    """Let a stored callback end its job, unless it has its verdict already, and return the verdict.

    None: it has to be applied again later. `vendor` is None where it was deleted, which no open job allows.
    """
    if delivery.verdict:
        return Verdict(delivery.verdict)
    if delivery.run is None:
        return _judge(Verdict.UNMATCHED, delivery)
    move = _move(delivery, _read(delivery, vendor, now), now)
    if move and _applying.commit((delivery, move)):
        stream.release(delivery.vendor, [delivery.job])
        if move.to == Status.FAILED:
            failures.tell(delivery.vendor, move)
        return Verdict.APPLIED
    verdict = _missed(delivery, move)
    return _judge(verdict, delivery) if verdict else None


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
    move = lifecycle.complete_overdue(delivery.job, answer.result, **_try(delivery), now=now)
    return _applying.commit((delivery, move))


def _parsed(body: bytes) -> Any:
    """Return the JSON value, or None where there is none that could be cleaned and kept."""
    try:
        payload = json.loads(body.decode("utf-8-sig"), parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError):
        return None
    return payload if _is_shallow(payload, MOST_LEVELS) else None


def _number(text: str) -> float:
    """Return the number; raises ValueError for one that JSON can't spell: NaN, or too large to be finite."""
    number = exact.number(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _is_shallow(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in inner)


def _key(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


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


def _move(delivery: Delivery, answer: Done | VendorError | None, now: datetime) -> Move | None:
    match answer:
        case Done(result):
            return lifecycle.complete_by_callback(delivery.job, result, **_try(delivery), now=now)
        case VendorError():
            return lifecycle.fail_by_callback(delivery.job, answer.code, answer.message, **_try(delivery), now=now)
        case None:
            return None


def _try(delivery: Delivery) -> dict[str, Any]:
    return {"run": delivery.run, "attempt": delivery.attempt}


def _apply_each(moves: Sequence[tuple[Delivery, Move]]) -> list[bool]:
    # One commit on SQLite; on MongoDB a crash in between is found out by _was_applied.
    happened = lifecycle.apply([move for _, move in moves])
    _judge(Verdict.APPLIED, *(delivery for (delivery, _), yes in zip(moves, happened, strict=True) if yes))
    return happened


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


def _judge(verdict: Verdict, *deliveries: Delivery) -> Verdict:
    rows = Delivery.objects.filter(pk__in=[delivery.pk for delivery in deliveries])
    if verdict != Verdict.APPLIED:
        # A repeat of it may have been applied meanwhile, and that is what counts.
        rows = rows.filter(verdict="")
        for delivery in deliveries:
            log.info("A callback of vendor %s for job %s is %s", delivery.vendor, delivery.job, verdict)
    with writing():
        rows.update(verdict=verdict)
    for delivery in deliveries:
        delivery.verdict = verdict
    return verdict


# Callbacks that come in together share commits, as jobs do.
_storing: GroupCommit[Delivery, bool] = GroupCommit(batch.insert_each)
_applying = GroupCommit(_apply_each)
