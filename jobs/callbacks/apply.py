"""Applies stored callbacks: read → move the job → settle, or record why the callback had no effect.

`apply` is used for every callback; the other functions choose which ones.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis

from jobs import failures, lifecycle, tallies
from jobs.callbacks import references
from jobs.callbacks.moves import late_move_of, move_of, note_on_attempt, poll_soon
from jobs.callbacks.read import EQUAL_NAMES, Answer, Unreadable, read
from jobs.callbacks.verdicts import verdict_without_effect
from jobs.lifecycle import Move
from jobs.models import Callback, Job, Status, Verdict
from jobs.queue import stream
from jobs.queue.health import pausing
from jobs.storage.group_commit import GroupCommit
from jobs.storage.store import STORE_ERRORS, refuses, writing
from vendors.base import Accepted, Done, Outcome, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.registry import location_of

log = logging.getLogger(__name__)

# Verdicts that may still change: the job may be imported, the adapter may be fixed.
UNDECIDED = ("", Verdict.UNREADABLE, Verdict.UNMATCHED)


@dataclass(frozen=True)
class _Effect:
    """What a callback does to its job."""

    callback: Callback
    answer: Answer
    move: Move


def apply(
    callback: Callback, vendor: Vendor | None, now: datetime, *, by_operator: bool = False
) -> Verdict | None:
    """End the job of a stored callback, unless the callback has its verdict already; return the
    verdict.

    A callback with two fields of the same name is applied `by_operator` only. One without a result
    makes the vendor be polled, and one that says that the vendor has not done the work may queue
    the job again.

    None means that it must be applied again later. `vendor` is None if it was deleted, which is
    impossible while it has open jobs. Raises redis.RedisError, and STORE_ERRORS if the store is
    away. Whatever else goes wrong makes this callback unreadable, and does not keep others from
    being applied.
    """
    try:
        return _apply(callback, vendor, now, by_operator=by_operator)
    except redis.RedisError:
        raise
    except Exception as error:
        if isinstance(error, STORE_ERRORS) and not refuses(error):
            raise
        reason = f"{type(error).__name__} at {location_of(error)}"
    return _record(Verdict.UNREADABLE, callback, reason=reason)


def _apply(
    callback: Callback, vendor: Vendor | None, now: datetime, *, by_operator: bool
) -> Verdict | None:
    if callback.verdict not in UNDECIDED:
        return Verdict(callback.verdict)
    if callback.run is None and not references.match(callback):
        return _record(Verdict.UNMATCHED, callback)
    is_ambiguous = callback.reason == EQUAL_NAMES and not by_operator
    answer = Unreadable(EQUAL_NAMES) if is_ambiguous else _answer(callback, vendor)
    if vendor and isinstance(answer, Accepted) and poll_soon(callback, vendor, now):
        return _record(Verdict.POLLED, callback)
    move = move_of(callback, answer, vendor, now)
    if move and isinstance(answer, Done | VendorError):
        effect = _Effect(callback, answer, move)
        if _applying.commit(effect):
            _settle(effect)
            return Verdict.APPLIED
    verdict = verdict_without_effect(callback, answer, move)
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


def apply_for_references(vendor: Vendor, names: Sequence[str], now: datetime) -> None:
    """Apply the callbacks that came before these references were recorded."""
    # The second condition is that of the partial index.
    rows = Callback.objects.filter(vendor=vendor.slug, vendor_reference__gt="")
    found = rows.filter(vendor_reference__in=names).values_list("received_at", "pk", "verdict")
    for callback in load_each(pk for _, pk, verdict in sorted(found) if verdict in UNDECIDED):
        apply(callback, vendor, now)


def apply_late(callback: Callback, now: datetime) -> bool:
    """Complete a job that failed only because this callback came late. Return False, and change
    nothing, if that is not why it failed.
    """
    if callback.verdict != Verdict.LATE:
        return False
    answer = _answer(callback, catalogue.get(callback.vendor))
    move = late_move_of(callback, answer, now)
    if move is None or not isinstance(answer, Done):
        return False
    effect = _Effect(callback, answer, move)
    if not _applying.commit(effect):
        return False
    _settle(effect)
    return True


def can_be_applied(callback: Callback, now: datetime) -> bool:
    """Return whether `apply`, or `apply_late` after it, would end the job now. Changes nothing."""
    if callback.run is None:
        return False
    vendor = catalogue.get(callback.vendor)
    answer = _answer(callback, vendor)
    moves = [late_move_of(callback, answer, now)]
    if callback.verdict in UNDECIDED:
        moves.append(move_of(callback, answer, vendor, now))
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


def _answer(callback: Callback, vendor: Vendor | None) -> Answer | Unreadable | None:
    return read(callback.body, vendor) if vendor else None


def _apply_each(effects: Sequence[_Effect]) -> list[bool]:
    # One commit on SQLite; on MongoDB, _was_applied detects a crash between the two writes.
    applied = lifecycle.apply([effect.move for effect in effects])
    happened = [effect for effect, yes in zip(effects, applied, strict=True) if yes]
    _record(Verdict.APPLIED, *[effect.callback for effect in happened])
    for effect in happened:
        note_on_attempt(effect.callback, effect.answer)
    return applied


def _settle(effect: _Effect) -> None:
    callback, answer, move = effect.callback, effect.answer, effect.move
    if move.to == Status.QUEUED:
        if isinstance(answer, VendorError) and answer.code == Outcome.NO_CREDITS:
            _pause_unpaid(callback, answer)
        stream.settle_requeued(callback.vendor, move.settlement())
        return
    stream.settle_final(callback.vendor, [callback.job])
    if move.to == Status.FAILED:
        failures.report(callback.vendor, move)


def _pause_unpaid(callback: Callback, answer: VendorError) -> None:
    if vendor := catalogue.get(callback.vendor):
        key = ""
        if vendor.credential:
            used = Job.objects.filter(pk=callback.job).values_list("credential", flat=True).first()
            key = vendor.credential.key_of(used or "")
        pausing.pause_unpaid(pausing.paused_of(vendor, key), answer.retry_after)


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
    if is_newly_unreadable:
        tallies.count("callbacks_unreadable", callback.vendor)
    # A vendor's reference may be personal data.
    subject = f"job {callback.job}" if callback.job else "a reference that no job has yet"
    text = "Callback from vendor %s for %s is %s%s"
    log.log(level, text, callback.vendor, subject, verdict, reason and f": {reason}")


def _postpone(callback: Callback) -> None:
    """Clear the verdict, so that the sweep applies the callback again."""
    if callback.verdict:
        rows = Callback.objects.filter(pk=callback.pk, verdict__in=UNDECIDED)
        with writing():
            rows.update(verdict="", reason="")


# Callbacks that are applied together share a commit.
_applying = GroupCommit(_apply_each)
