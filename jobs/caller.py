"""Makes one call: in time with its permit, through the vendor's adapter, with the answer cleaned."""

import time
from dataclasses import dataclass
from queue import SimpleQueue

import redis

from jobs import limiter, tokens
from jobs.beat import SILENT_SECONDS
from jobs.models import Job
from jobs.stream import Entry
from vendors.base import Accepted, Call, Done, VendorError
from vendors.execute import execute
from vendors.models import Vendor

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


class Caller:
    """Calls vendors and puts what came of it into the queue `ended`."""

    def __init__(self, ended: SimpleQueue[Ended | None]) -> None:
        self._ended = ended

    def call(self, started: Started) -> None:
        self._ended.put(Ended(started, execute(started.vendor, _call(started)) if _permitted(started) else None))


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
