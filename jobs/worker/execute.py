"""Executes one attempt or poll: confirms its permit, then calls the vendor through its adapter."""

import time
from contextlib import nullcontext
from dataclasses import replace

import redis

from jobs.callbacks import tokens
from jobs.models import Job
from jobs.queue import limiter
from jobs.queue.buckets import buckets_of
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS
from jobs.worker.access import Answer, with_access
from jobs.worker.execution import Execution
from vendors.base import Access, Call, VendorError
from vendors.execute import execute as call_vendor
from vendors.execute import poll as poll_vendor
from vendors.http.deadline import this_call
from vendors.models import Vendor

# How long a thread waits for a fresh permit to replace a late one. After that the job is released.
PERMIT_TIMEOUT_SECONDS = 1.0


class NotPermittedError(BaseException):
    """The call must not be made now.

    Not an Exception, so that an adapter that catches every Exception does not catch this.
    """


class Permit:
    """The right to call a vendor now: the charge that `take` made for the job, or a later one.

    `key`: of the vendor's credential. `units`: that the charge counts. `needs_slot`: whether the
    call needs a slot in flight; that of a poll's job is taken.
    """

    def __init__(
        self,
        vendor: Vendor,
        job: Job,
        charge: str,
        charged_at: float,
        *,
        key: str,
        units: int,
        needs_slot: bool = True,
    ) -> None:
        self._vendor = vendor
        self._job = job
        self._key = key
        self._units = units
        self._slot_of = job.pk if needs_slot else ""
        self._charge = charge
        self._charged_at = charged_at

    @property
    def charge(self) -> str:
        """What is charged now."""
        return self._charge

    def confirm(self) -> None:
        """Return once the permit is fresh. Raises NotPermittedError if none can be had in time.

        If Redis answers more slowly than permits expire, the last one is used late.
        """
        give_up_at = time.monotonic() + PERMIT_TIMEOUT_SECONDS
        while self._charged_at + limiter.PERMIT_SECONDS < time.monotonic() < give_up_at:
            self._renew(give_up_at)

    def _renew(self, give_up_at: float) -> None:
        """Trade the permit for a fresh one, and wait until one is granted."""
        while (wait_seconds := self._trade()) is not None:
            if time.monotonic() + wait_seconds > give_up_at:
                raise NotPermittedError
            time.sleep(wait_seconds)

    def _trade(self) -> float | None:
        """Return None if a fresh permit was granted, or the seconds to wait before trying again."""
        self._charged_at = time.monotonic()
        try:
            renewal = limiter.renew(
                self._vendor, self._slot_of, self._charge, credential=self._key, units=self._units
            )
        except redis.RedisError:
            raise NotPermittedError from None
        self._charge = renewal.charge
        if renewal.granted and renewal.charge:
            self._job.started_at = limiter.moment(renewal.charge)
        return None if renewal.granted else renewal.wait_seconds


def execute(execution: Execution) -> None:
    """Call the vendor and set the answer. It stays None if the call was not permitted."""

    def ask(access: Access) -> Answer | None:
        this_call.has_sent = False
        answer = _call(execution, access)
        execution.is_unsent = is_unsent(answer)
        return answer

    # Before the permit is confirmed: the vendor may have to be asked for a token first.
    execution.is_unsent = True
    execution.answer = with_access(execution.vendor, execution.entry.credential, ask)


def is_unsent(answer: Answer | None) -> bool:
    """Whether nothing was sent to the vendor since `this_call.has_sent` was set to False."""
    # An adapter may have sent other requests before the one that failed.
    return isinstance(answer, VendorError) and not answer.sent and not this_call.has_sent


def _call(execution: Execution, access: Access) -> Answer | None:
    # If this process was frozen for that long, another worker may have taken the job over.
    if time.monotonic() - execution.charged_at > HEARTBEAT_TIMEOUT_SECONDS:
        return None
    vendor, job, entry = execution.vendor, execution.job, execution.entry
    charge, needs_slot = entry.charge, execution.poll is None
    permit = Permit(
        vendor,
        job,
        charge,
        execution.charged_at,
        key=entry.credential,
        units=entry.units,
        needs_slot=needs_slot,
    )
    try:
        if charge or (needs_slot and buckets_of(vendor).have_slots):
            permit.confirm()
        # Confirmed again once connected, as connecting may take long.
        with this_call.permitted_by(permit.confirm) if charge else nullcontext():
            if execution.poll:
                return poll_vendor(vendor, _call_of(job, access, job.vendor_reference))
            return call_vendor(vendor, _call_of(job, access))
    except NotPermittedError:
        return None
    finally:
        if permit.charge != charge:  # a late one was traded, and this one may be refunded
            execution.entry = replace(entry, charge=permit.charge)


def _call_of(job: Job, access: Access, reference: str = "") -> Call:
    callback_url = tokens.callback_url(job.vendor, job.pk, job.run, job.attempt)
    return Call(job.pk, job.input, job.call_key, callback_url, reference, access)
