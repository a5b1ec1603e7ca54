"""Makes one call: with a fresh permit, through the vendor's adapter, with the answer cleaned."""

import logging
import time
import traceback
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from queue import SimpleQueue

import redis

from jobs import limiter, tokens
from jobs.beat import SILENT_SECONDS
from jobs.models import Job
from jobs.stream import Entry
from vendors import replies
from vendors.base import Accepted, Call, Done, VendorError
from vendors.catalogue import catalogue
from vendors.cleaning import clean
from vendors.deadline import this_call
from vendors.models import Vendor

log = logging.getLogger(__name__)

# A thread waits that long for a fresh permit in place of one that came too late; then the job goes back to its stream.
PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class Started:
    """One started job on its way through a worker."""

    vendor: Vendor
    entry: Entry
    job: Job
    permit_from: float  # monotonic seconds
    probe: str = ""


@dataclass(frozen=True)
class Ended:
    """What came of it; None for an answer says that the vendor was not called."""

    started: Started
    answer: Done | Accepted | VendorError | None


def warm_up(vendors: Iterable[Vendor]) -> None:
    """Load the adapters now: a first call that waits for an import would reach its vendor long after its permit."""
    for vendor in vendors:
        try:
            catalogue.adapter(vendor)
        except Exception as error:
            log.error("the adapter of %s can't be loaded (%s); its jobs will fail", vendor, type(error).__name__)


class NotPermittedError(BaseException):
    """The call must not be made now. No Exception: an adapter that catches whatever goes wrong must not catch this."""


class Permit:
    """What a job needs to call its vendor: the charge that `take` made for it, or a later one."""

    def __init__(self, started: Started) -> None:
        self._vendor = started.vendor
        self._job = started.job
        self._charge = started.entry.charge
        self._charged_at = started.permit_from

    @property
    def is_for_windows(self) -> bool:
        return bool(self._charge)

    def confirm(self) -> None:
        """Return when the call may be made at once. Raises NotPermittedError when no permit is to be had soon."""
        granted, give_up_at = True, time.monotonic() + PATIENCE_SECONDS
        while not granted or self._charged_at + limiter.PERMIT_SECONDS < time.monotonic() < give_up_at:
            granted, wait_seconds = self._renew()
            if not granted:
                if time.monotonic() + wait_seconds > give_up_at:
                    raise NotPermittedError
                time.sleep(wait_seconds)

    def _renew(self) -> tuple[bool, float]:
        """Trade the permit for a fresh one; returns whether it was granted, and else how long to wait."""
        self._charged_at = time.monotonic()
        try:
            renewal = limiter.renew(self._vendor, self._job.pk, self._charge)
        except redis.RedisError:
            raise NotPermittedError from None
        self._charge = renewal.charge
        if renewal.charge:
            self._job.started_at = limiter.moment(renewal.charge)
        return renewal.granted, renewal.wait_seconds


class Caller:
    """Calls vendors and puts what came of it into the queue `ended`."""

    def __init__(self, ended: SimpleQueue[Ended | None]) -> None:
        self._ended = ended

    def call(self, started: Started) -> None:
        try:
            answer = _answer(started)
        except NotPermittedError:
            answer = None
        self._ended.put(Ended(started, answer))


def _answer(started: Started) -> Done | Accepted | VendorError:
    """Call the vendor and return what it came to. Raises NotPermittedError where it was not called."""
    if time.monotonic() - started.permit_from > SILENT_SECONDS:
        raise NotPermittedError  # this process stood still for so long that another worker may have the job
    permit = Permit(started)
    if started.entry.charge or started.vendor.max_in_flight:
        permit.confirm()
    try:
        # Asked again when the connection stands: that may have taken long.
        with this_call.permitted_by(permit.confirm) if permit.is_for_windows else nullcontext():
            answer = catalogue.adapter(started.vendor).call(_call(started))
        if isinstance(answer, Done):
            return Done(clean(answer.result, started.vendor.redacted_fields))
        if isinstance(answer, Accepted):
            return answer
        raise TypeError(type(answer).__name__)
    except VendorError as error:
        return _cleaned(error, started.vendor)
    except Exception as error:
        # Not the exception's own words: they may hold personal data.
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = type(error).__name__
        log.error("the adapter of %s failed with %s at %s line %s", started.vendor, kind, place.filename, place.lineno)
        return VendorError("adapter_failed", f"The adapter failed with {kind}.", outcome_known=False)


def _cleaned(error: VendorError, vendor: Vendor) -> VendorError:
    """Return the error without what may not be kept of the vendor's reply."""
    # The frames of the call hold the whole reply.
    error.__traceback__ = error.__cause__ = error.__context__ = None
    if error.reply is not None:
        error.reply = replies.kept(error.reply, vendor.redacted_fields, [vendor.api_key, *vendor.webhook_secrets])
    return error


def _call(started: Started) -> Call:
    job = started.job
    callback_url = tokens.callback_url(job.vendor, job.pk, job.run, job.attempt)
    return Call(job.pk, job.input, job.idempotency_key, callback_url)
