"""One call of a vendor by hand, without a job: with a permit as any call has, and an Attempt row of
the kind `try`.

An operator asks in this way how the vendor stands. So neither a pause nor an open breaker holds a
try back, and its outcome is told to neither; the limits and the cap on jobs in flight hold.
"""

import socket
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jobs.callbacks import tokens
from jobs.models import Attempt, Job, Kind, Stream
from jobs.queue import limiter, stream
from jobs.queue.keys import Keys
from jobs.queue.limiter import EPOCH
from jobs.queue.redis import commands
from jobs.queue.stream import Entry
from jobs.recovery.rebuild import rebuild
from jobs.storage.store import writing
from jobs.worker.execute import NotPermittedError, Permit, Started
from vendors.base import Accepted, Call, Done, VendorError
from vendors.execute import execute
from vendors.http.deadline import this_call
from vendors.http.exchanges import Exchange, watched
from vendors.models import Vendor, new_id

TIMEOUT_SECONDS = 10.0
CHECK_INTERVAL_SECONDS = 0.25


class NoPermitError(Exception):
    """The vendor's limits allow no call now; the sentence says which."""


@dataclass(frozen=True)
class Trial:
    """What came of it."""

    call: Call
    exchanges: list[Exchange]
    answer: Done | Accepted | VendorError
    seconds: float


def run(vendor: Vendor, given: Mapping[str, Any]) -> Trial:
    """Call the vendor once. Raises NoPermitError, redis.RedisError and STORE_ERRORS."""
    job_id = new_id()
    call = Call(job_id, dict(given), job_id, tokens.callback_url(vendor.slug, job_id, 0, 0))
    if limiter.is_stale(vendor):
        rebuild([vendor])  # before there is a row, which would be counted
    attempt = _begin(vendor)
    try:
        permit, job = _permit(vendor, job_id)
        with (
            watched() as exchanges,
            this_call.permitted_by(permit.confirm) if permit.is_for_windows else nullcontext(),
        ):
            since = time.monotonic()
            answer = execute(vendor, call)
            seconds = time.monotonic() - since
        _end(attempt, answer, job.started_at or _now(), seconds)
    except (NoPermitError, NotPermittedError):
        with writing():
            attempt.delete()
        raise NoPermitError(_held_by(vendor)) from None
    finally:
        stream.free_slots(vendor.slug, [job_id])  # else the sweep frees its slot
    return Trial(call, exchanges, answer, seconds)


def _begin(vendor: Vendor) -> Attempt:
    """Write the attempt before the call: should Redis lose its data meanwhile, limits are made from
    the rows.

    As long as it is unknown when the call started it counts as late as can be.
    """
    latest = _now() + timedelta(seconds=TIMEOUT_SECONDS)
    attempt = Attempt(
        kind=Kind.TRY,
        vendor=vendor.slug,
        run=0,
        number=0,
        worker=f"vendor-try-{socket.gethostname()}"[:100],
        started_at=latest,
        ended_at=latest,
        outcome="unknown",
        message="The try was not brought to its end.",
    )
    with writing():
        attempt.save(force_insert=True)
    return attempt


def _end(
    attempt: Attempt, answer: Done | Accepted | VendorError, started_at: datetime, seconds: float
) -> None:
    attempt.started_at, attempt.ended_at = started_at, started_at + timedelta(seconds=seconds)
    attempt.outcome, attempt.message = outcome(answer)
    if isinstance(answer, VendorError) and answer.reply:
        attempt.reply = answer.reply.as_json()
    with writing():
        attempt.save(update_fields=["started_at", "ended_at", "outcome", "message", "reply"])


def outcome(answer: Done | Accepted | VendorError) -> tuple[str, str]:
    """Return the code of an answer, and its sentence where it is an error."""
    match answer:
        case Done():
            return "done", ""
        case Accepted():
            return "accepted", ""
        case VendorError():
            return answer.code[:50], answer.message[:500]


def _permit(vendor: Vendor, job_id: str) -> tuple[Permit, Job]:
    """Return a permit to call now, and the job that it would be for. Raises NoPermitError where
    there is none in time.
    """
    give_up_at = time.monotonic() + TIMEOUT_SECONDS
    while True:
        asked_at = time.monotonic()
        renewal = limiter.renew(vendor, job_id, "")
        if renewal.granted:
            job = Job(
                id=job_id,
                vendor=vendor.slug,
                started_at=limiter.moment(renewal.charge) if renewal.charge else _now(),
            )
            entry = Entry(vendor.slug, Stream.JOBS, "", job_id, renewal.charge)
            return Permit(Started(vendor, entry, job, asked_at)), job
        left = give_up_at - time.monotonic()
        if left <= 0:
            raise NoPermitError
        time.sleep(min(max(renewal.wait_seconds, 0.001), CHECK_INTERVAL_SECONDS, left))


def _held_by(vendor: Vendor) -> str:
    keys = Keys(vendor.slug)
    if limiter.is_stale(vendor):
        return "Redis has lost its data, and the limits are being made from the store. Try again in a moment."
    if commands().pttl(keys.pause) > 0:
        return "The vendor has just asked for a pause. Try again in a moment."
    in_flight = commands().zcard(keys.in_flight)
    if vendor.max_in_flight and in_flight >= vendor.max_in_flight:
        return f"{in_flight} jobs are in flight, and max_in_flight is {vendor.max_in_flight}. Wait for one to end, or raise it."
    return f"The rate limits ({vendor.rate_limits}) allow no call now. Wait, or raise them."


def _now() -> datetime:
    seconds, microseconds = commands().time()
    return EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
