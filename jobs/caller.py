"""Makes one call: in time with its permit, through the vendor's adapter, with the answer cleaned."""

import logging
import time
import traceback
from collections.abc import Iterable
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


class Caller:
    """Calls vendors and puts what came of it into the queue `ended`."""

    def __init__(self, ended: SimpleQueue[Ended | None]) -> None:
        self._ended = ended

    def call(self, started: Started) -> None:
        self._ended.put(Ended(started, _answer(started) if _permitted(started) else None))


def _answer(started: Started) -> Done | Accepted | VendorError:
    try:
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


def _permitted(started: Started) -> bool:
    """Whether the call may be made now, with its own permit or a fresh one. False: hand the job back."""
    if time.monotonic() - started.permit_from > SILENT_SECONDS:
        return False  # this process stood still for so long that somebody else may have the job
    vendor, job, charge = started.vendor, started.job, started.entry.charge
    if not (charge or vendor.max_in_flight):
        return True
    granted, permit_from, give_up_at = True, started.permit_from, time.monotonic() + PATIENCE_SECONDS
    while not granted or permit_from + limiter.PERMIT_SECONDS < time.monotonic() < give_up_at:
        permit_from = time.monotonic()
        try:
            renewal = limiter.renew(vendor, job.pk, charge)
        except redis.RedisError:
            return False
        granted, charge = renewal.granted, renewal.charge
        if charge:
            job.started_at = limiter.moment(charge)
        if not granted:
            if permit_from + renewal.wait_seconds > give_up_at:
                return False
            time.sleep(renewal.wait_seconds)
    return True
