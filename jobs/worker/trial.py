"""One call of a vendor by hand, without a job: `manage.py vendor try` and `vendor check`.

It takes a permit as every call does, and leaves an Attempt row of the kind `try` or `check`. An
operator makes it to see how the vendor answers. So a pause or an open breaker does not prevent it,
and its outcome changes neither. The limits hold, and max_in_flight holds for what starts work of
the vendor.
"""

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jobs import lifecycle
from jobs.callbacks import tokens
from jobs.models import EPOCH, UNKNOWN, Attempt, Job, Kind
from jobs.queue import limiter, stream
from jobs.queue.buckets import buckets_of
from jobs.queue.clock import redis_clock
from jobs.queue.held.hold import Hold
from jobs.queue.held.hold import Kind as HoldKind
from jobs.queue.keys import Keys
from jobs.queue.limiter import Renewal
from jobs.queue.redis import commands
from jobs.queue.usage import usage_of
from jobs.recovery.rebuild import rebuild
from jobs.storage.store import writing
from jobs.worker.access import Answer, with_access
from jobs.worker.execute import NotPermittedError, Permit, is_unsent
from vendors import execute
from vendors.base import Accepted, Access, Call, Done, Outcome, VendorError
from vendors.http.deadline import this_call
from vendors.http.exchanges import Exchange, watched
from vendors.models import Vendor, new_id

TIMEOUT_SECONDS = 10.0
CHECK_INTERVAL_SECONDS = 0.25
Ask = Callable[[Vendor, Call], Answer]
NOT_IN_TIME = "Another process is asking for a token, and it did not come in time. Try again."


class NoPermitError(Exception):
    """The vendor's limits allow no call now. The message names the limit."""


@dataclass(frozen=True)
class Trial:
    """The call that was made, the HTTP exchanges it took, and the answer."""

    kind: Kind
    call: Call
    exchanges: list[Exchange]
    answer: Answer
    seconds: float


def run(vendor: Vendor, given: Mapping[str, Any]) -> Trial:
    """Call the vendor as a job with this input would, with the first key that may be used.

    Like the others, raises NoPermitError, redis.RedisError and STORE_ERRORS.
    """
    call = call_of(vendor, given)
    return _make(Kind.TRY, vendor, call, execute.execute, vendor.weight, slot=call.job_id)


def poll(vendor: Vendor, given: Mapping[str, Any], reference: str) -> Trial:
    """Ask for the answer to an earlier call, by what the vendor calls it."""
    call = call_of(vendor, given, reference)
    return _make(Kind.TRY, vendor, call, execute.poll, vendor.poll_weight)


def check(vendor: Vendor, key: str = "") -> Trial:
    """Prove the vendor's credential by its free call. `key`: which one, '' for the first that can
    be used here.
    """

    def ask(vendor: Vendor, call: Call) -> Answer:
        return execute.check(vendor, call.access)

    return _make(Kind.CHECK, vendor, call_of(vendor, {}, key=key), ask, vendor.weight)


def call_of(
    vendor: Vendor,
    given: Mapping[str, Any],
    reference: str = "",
    *,
    key: str = "",
    access: Callable[[str], Access] = Access,
) -> Call:
    """Return the call of a job with this input. `access`: what it shows the vendor, by the key."""
    job_id = new_id()
    url = tokens.callback_url(vendor.slug, job_id, 0, 0)
    return Call(job_id, dict(given), job_id, url, reference, access(key or _key_of(vendor)))


def _key_of(vendor: Vendor) -> str:
    """Return the first key that may be used for calls or, if there is none, that is set here."""
    if vendor.credential is None:
        return ""
    usable = (key.name for key in vendor.credential.pool(redis_clock.now()) if key.calls)
    return next(usable, "") or vendor.credential.key_of("")


def _make(kind: Kind, vendor: Vendor, call: Call, ask: Ask, units: int, *, slot: str = "") -> Trial:
    """`units`: that it counts in the vendor's limits. `slot`: under which id the call takes an
    in-flight slot; '' if it needs none.
    """
    made: list[Trial] = []

    def with_permit(access: Access) -> Answer:
        call_now = replace(call, access=access)
        made.append(_permitted(kind, vendor, call_now, ask, units=units, slot=slot))
        return made[0].answer

    answer = with_access(vendor, call.access.key, with_permit)
    if answer is None:
        raise NoPermitError(NOT_IN_TIME)
    # Without a token, the vendor was not called.
    return replace(made[0], answer=answer) if made else Trial(kind, call, [], answer, 0.0)


def _permitted(kind: Kind, vendor: Vendor, call: Call, ask: Ask, *, units: int, slot: str) -> Trial:
    if limiter.is_stale(vendor):
        rebuild([vendor])  # before there is a row, which would be counted
    attempt = _begin(kind, vendor, call.access.key, units)
    try:
        permit, job = _permit(vendor, call.access.key, units, slot)
        is_charged = units and buckets_of(vendor).are_charged
        confirmed = this_call.permitted_by(permit.confirm) if is_charged else nullcontext()
        with watched() as exchanges, confirmed:
            since, this_call.has_sent = time.monotonic(), False
            answer = ask(vendor, call)
            seconds = time.monotonic() - since
        if is_unsent(answer):
            attempt.units = 0
            stream.refund(vendor.slug, permit.charge, units, call.access.key)
        _end(attempt, answer, job.started_at or _now(), seconds)
    except (NoPermitError, NotPermittedError):
        with writing():
            attempt.delete()
        raise NoPermitError(_reason(vendor, call.access.key, units)) from None
    finally:
        if slot:
            stream.settle_final(vendor.slug, [slot])  # if Redis is away, the sweep frees the slot
    return Trial(kind, call, exchanges, answer, seconds)


def _begin(kind: Kind, vendor: Vendor, key: str, units: int) -> Attempt:
    """Write the attempt before the call: if Redis loses its data, limits are rebuilt from rows.

    Until it is known when the call started, it counts as late as possible. It never has the
    vendor's reference, for which a callback would look: there is no job to apply it to.
    """
    latest = _now() + timedelta(seconds=TIMEOUT_SECONDS)
    attempt = Attempt(
        kind=kind,
        vendor=vendor.slug,
        run=0,
        number=0,
        worker=f"vendor-{kind}-{socket.gethostname()}"[:100],
        started_at=latest,
        ended_at=latest,
        outcome=UNKNOWN,
        message="The call by hand did not finish.",
        credential=key,
    )
    lifecycle.note_charge(attempt, vendor, units)
    with writing():
        attempt.save(force_insert=True)
    return attempt


def _end(attempt: Attempt, answer: Answer, started_at: datetime, seconds: float) -> None:
    attempt.started_at, attempt.ended_at = started_at, started_at + timedelta(seconds=seconds)
    attempt.outcome, attempt.message = outcome(answer)
    attempt.cost = answer.cost
    match answer:
        case Done():
            attempt.confidence = answer.confidence
        case VendorError() if answer.reply:
            attempt.reply = answer.reply.as_json()
    with writing():
        attempt.save(force_update=True)


def outcome(answer: Answer) -> tuple[str, str]:
    """Return the code of an answer, and its message if it is an error."""
    match answer:
        case Done(outcome=found):
            return found, ""
        case Accepted():
            return Outcome.PENDING, ""
        case VendorError():
            return answer.code[:50], answer.message[:500]


def _permit(vendor: Vendor, key: str, units: int, slot: str) -> tuple[Permit, Job]:
    """Return a permit to call now, and the job that stands for the call.

    Raises NoPermitError if there is no permit within TIMEOUT_SECONDS.
    """
    give_up_at = time.monotonic() + TIMEOUT_SECONDS
    while True:
        asked_at = time.monotonic()
        if not units:  # it takes no permit
            renewal = Renewal(True, "", 0.0)
        else:
            renewal = limiter.renew(vendor, slot, "", credential=key, units=units)
        if renewal.granted:
            started_at = limiter.moment(renewal.charge) if renewal.charge else _now()
            job = Job(id=slot, vendor=vendor.slug, started_at=started_at)
            return Permit(vendor, job, renewal.charge, asked_at, key=key, units=units), job
        seconds_left = give_up_at - time.monotonic()
        if seconds_left <= 0:
            raise NoPermitError
        time.sleep(min(max(renewal.wait_seconds, 0.001), CHECK_INTERVAL_SECONDS, seconds_left))


def _reason(vendor: Vendor, key: str, units: int) -> str:
    """Return a sentence that names the limit, and what to do."""
    if limiter.is_stale(vendor):
        return "Redis lost its data; the limits are being rebuilt. Retry in a moment."
    if commands().pttl(Keys(vendor.slug).pause) > 0:
        return "The vendor has just asked for a pause. Retry in a moment."
    for bucket in buckets_of(vendor).of(key):
        cap, in_flight = bucket.max_in_flight, commands().zcard(bucket.keys.in_flight)
        if cap and in_flight >= cap:
            of = f" of the limit {bucket.limit}" if bucket.limit else ""
            advice = "Wait for one to end, or raise it."
            return f"{in_flight} jobs are in flight, and max_in_flight{of} is {cap}. {advice}"
    for used in usage_of(buckets_of(vendor).of(key)):
        quota, limit = used.bucket.quota, used.bucket.limit
        if quota and used.quota_units + units > quota.calls:
            hold = Hold(HoldKind.QUOTA, limit, used.resets_at)
            return f"{hold.message} Wait, or raise quota.calls of the limit {limit}."
    limits = [f"limit {name}" for name in vendor.limit_names]
    named = ", ".join(filter(None, [vendor.rate_limits, *limits]))
    return f"The rate limits ({named}) allow no call now. Wait, or raise them."


def _now() -> datetime:
    """Return the time of Redis' clock."""
    seconds, microseconds = commands().time()
    return EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
