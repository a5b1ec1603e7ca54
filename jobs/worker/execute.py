"""Makes one call: with a fresh permit, through the vendor's adapter, with the answer cleaned."""

import time
from contextlib import nullcontext
from dataclasses import dataclass
from queue import SimpleQueue

import redis

from jobs.callbacks import tokens
from jobs.models import Job
from jobs.queue import limiter
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS
from jobs.queue.stream import Entry
from vendors.base import Accepted, Call, Done, VendorError
from vendors.execute import execute
from vendors.http.deadline import this_call
from vendors.models import Vendor

# A thread waits that long for a fresh permit in place of one that came too late; then the job goes
# back to its stream.
TIMEOUT_SECONDS = 1.0


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


class NotPermittedError(BaseException):
    """The call must not be made now. No Exception: an adapter that catches whatever goes wrong must
    not catch this.
    """


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
        """Return when the call may be made at once. Raises NotPermittedError when no permit is to
        be had soon.
        """
        granted, give_up_at = True, time.monotonic() + TIMEOUT_SECONDS
        while (
            not granted or self._charged_at + limiter.PERMIT_SECONDS < time.monotonic() < give_up_at
        ):
            granted, wait_seconds = self._renew()
            if not granted:
                if time.monotonic() + wait_seconds > give_up_at:
                    raise NotPermittedError
                time.sleep(wait_seconds)

    def _renew(self) -> tuple[bool, float]:
        """Trade the permit for a fresh one; returns whether it was granted, and else how long to
        wait.
        """
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
    if time.monotonic() - started.permit_from > HEARTBEAT_TIMEOUT_SECONDS:
        # this process stood still for so long that another worker may have the job
        raise NotPermittedError
    permit = Permit(started)
    if started.entry.charge or started.vendor.max_in_flight:
        permit.confirm()
    # Asked again when the connection stands: that may have taken long.
    with this_call.permitted_by(permit.confirm) if permit.is_for_windows else nullcontext():
        return execute(started.vendor, _call(started))


def _call(started: Started) -> Call:
    job = started.job
    callback_url = tokens.callback_url(job.vendor, job.pk, job.run, job.attempt)
    return Call(job.pk, job.input, job.idempotency_key, callback_url)
