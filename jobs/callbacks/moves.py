"""What a callback does to its job, by the answer that it holds."""

import random
from datetime import datetime, timedelta
from typing import Any

from jobs import lifecycle, retry
from jobs.callbacks.read import Answer, Unreadable
from jobs.lifecycle import Move
from jobs.models import Attempt, Callback, Job, Kind, Status, Verdict
from vendors.base import Done, Outcome, VendorError
from vendors.models import Vendor

# Reported by a callback, these say nothing about the job: it is called again.
REPEATED = (Outcome.NO_CREDITS, Outcome.RATE_LIMITED, Outcome.AUTH)
# Whoever can post a callback without a proof must not make us poll more often than this.
CONFIRM_INTERVAL = timedelta(seconds=60)
# Else each of many callbacks would make the entry of the poll before it invalid.
THIN_INTERVAL = timedelta(seconds=5)


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
    at = _earliest_poll(callback, vendor, now)
    if job.next_poll_at:
        lifecycle.poll_now(job.pk, job.attempt, at)
    else:  # it began to wait before the vendor was polled
        lifecycle.apply([lifecycle.postpone_poll(job, at)])
    return True


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
    that a callback has asked for.
    """
    proof = vendor.callback_proof
    interval = CONFIRM_INTERVAL if proof and proof.confirm else THIN_INTERVAL
    of_attempt: dict[str, Any] = {"job": callback.job, "number": callback.attempt}
    polls = Attempt.objects.filter(kind=Kind.POLL, **of_attempt)
    others = Callback.objects.filter(job=callback.job).exclude(pk=callback.pk)
    times = [now - interval]
    times += polls.order_by("-started_at").values_list("started_at", flat=True)[:1]
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
