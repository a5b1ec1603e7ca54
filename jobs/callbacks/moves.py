"""What a callback does to its job, by the answer that it holds."""

import random
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from jobs import lifecycle, retry, tallies
from jobs.callbacks.read import Answer, Unreadable
from jobs.lifecycle import Move
from jobs.models import UNKNOWN, Attempt, Callback, Job, Kind, Status, Verdict
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS
from jobs.storage.store import writing
from vendors.base import Done, Outcome, VendorError
from vendors.models import Vendor

# Reported by a callback, these say nothing about the job: it is called again.
REPEATED = (Outcome.NO_CREDITS, Outcome.RATE_LIMITED, Outcome.AUTH)
# Whoever can post a callback without a proof must not make us poll more often than this.
CONFIRM_INTERVAL = timedelta(seconds=60)
# Else each of many callbacks would make the entry of the poll before it invalid.
THIN_INTERVAL = timedelta(seconds=5)
# Between the claim of a poll and its call, which waits for a thread and a permit.
MAX_START_DELAY = timedelta(seconds=2 * HEARTBEAT_TIMEOUT_SECONDS)
LAST_POLL = ("started_at", "outcome")


def move_of(
    callback: Callback, answer: Answer | Unreadable | None, vendor: Vendor | None, now: datetime
) -> Move | None:
    """Return the move that ends the job, or queues it again; None if there is none."""
    ref = _attempt(callback)
    match answer:
        case Done() as done:
            return lifecycle.complete_by_callback(callback.job, done, **ref, now=now)
        case VendorError(code=code) as error if vendor and code in REPEATED:
            return _move_to_repeat(callback, error, vendor, now)
        case VendorError(code=code, message=message):
            return lifecycle.fail_by_callback(callback.job, code, message, **ref, now=now)
        case _:
            return None


def late_move_of(
    callback: Callback, answer: Answer | Unreadable | None, now: datetime
) -> Move | None:
    """Return the move that completes a job which failed only because this callback came late."""
    if not isinstance(answer, Done):
        return None
    return lifecycle.complete_overdue(callback.job, answer, **_attempt(callback), now=now)


def poll_soon(callback: Callback, vendor: Vendor, now: datetime) -> bool:
    """Have the vendor polled, because a callback says that it is worth it. Returns False if the job
    does not wait for this answer.
    """
    job = _jobs(callback).filter(status=Status.WAITING).first()
    if job is None:
        return False
    if vendor.polling and vendor.polling.needs_reference and not job.vendor_reference:
        return True  # accepted before the vendor named references; to ask without one would fail it
    at = _earliest_poll(callback, vendor, now)
    # Without a next poll, it began to wait before the vendor was polled. If the move does not
    # happen, a poll that began, or was made due, just now will see what this callback is about.
    if job.next_poll_at is None or at < job.next_poll_at:
        lifecycle.apply([lifecycle.postpone_poll(job, at)])
    return True


def note_on_attempt(callback: Callback, answer: Answer) -> None:
    """Note on its attempt what a callback says about cost and confidence."""
    said = {name: getattr(answer, name, None) for name in ("cost", "confidence")}
    changes = {name: value for name, value in said.items() if value is not None}
    of_attempt: dict[str, Any] = {"run": callback.run, "number": callback.attempt}
    if changes:
        attempts = Attempt.objects.filter(job=callback.job, kind=Kind.CALL, **of_attempt)
        with writing():
            costs = attempts.values_list("cost", flat=True) if "cost" in changes else []
            for cost in costs:
                more = changes["cost"] - (cost or 0.0)
                transaction.on_commit(partial(tallies.add_cost, callback.vendor, more))
            attempts.update(**changes)


def _move_to_repeat(
    callback: Callback, error: VendorError, vendor: Vendor, now: datetime
) -> Move | None:
    """Only no_credits is no failure, since the vendor is paused for it. Of the others it is not
    known whether they concern other jobs, so they pause nothing, and end after max_attempts.
    """
    job = _jobs(callback).first()
    if job is None:
        return None
    if error.code == Outcome.NO_CREDITS:
        return lifecycle.retry_by_callback(job, counts=False, not_before=None, now=now)
    chance = random.random()
    match retry.decide_by_count(error, failures=job.failures, vendor=vendor, chance=chance):
        case retry.GiveUp(code, message):
            ref = _attempt(callback)
            return lifecycle.fail_by_callback(callback.job, code, message, **ref, now=now)
        case retry.Retry(counts) as later:
            not_before = later.not_before(now)
            return lifecycle.retry_by_callback(job, counts=counts, not_before=not_before, now=now)


def _earliest_poll(callback: Callback, vendor: Vendor, now: datetime) -> datetime:
    """Return when the next poll may start: some time after the last one, and after the last one
    that a callback has asked for; if one is under way, not before it must have ended.
    """
    proof = vendor.callback_proof
    interval = CONFIRM_INTERVAL if proof and proof.confirm else THIN_INTERVAL
    of_attempt: dict[str, Any] = {"job": callback.job, "number": callback.attempt}
    polls = Attempt.objects.filter(kind=Kind.POLL, **of_attempt)
    others = Callback.objects.filter(job=callback.job).exclude(pk=callback.pk)
    times = [now - interval]
    for started_at, outcome in polls.order_by("-started_at").values_list(*LAST_POLL)[:1]:
        times.append(started_at)
        if outcome == UNKNOWN:
            longest = timedelta(seconds=vendor.timeout_seconds) + MAX_START_DELAY
            times.append(started_at + longest - interval)
    # The verdict is not in the filter: a store might read every callback with it.
    rows = others.values_list("received_at", "verdict", "attempt")
    times += [
        received_at
        for received_at, verdict, attempt in rows
        if (verdict, attempt) == (Verdict.POLLED, callback.attempt)
    ]
    return max(times) + interval


def _jobs(callback: Callback) -> Any:
    return Job.objects.filter(pk=callback.job, **_attempt(callback)).defer("input", "result")


def _attempt(callback: Callback) -> dict[str, Any]:
    return {"vendor": callback.vendor, "run": callback.run, "attempt": callback.attempt}
