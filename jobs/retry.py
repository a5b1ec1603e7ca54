"""Whether and when a failed attempt is retried: a pure decision."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.queue.health import throttle
from jobs.queue.health.breaker import DENIED_JOBS, Standing, signal_of
from vendors.base import PERMANENT, VendorError
from vendors.models import Vendor

OUTCOME_UNKNOWN = (
    "It is unknown whether the vendor did the work, and repeat_unknown is off for this vendor."
)
# A token that the vendor had issued some time ago: the next call gets a new one.
TOKEN_REFUSED = "token_refused"  # noqa: S105  # a code
BASE_SECONDS = 1.0
CAP_SECONDS = 300.0


@dataclass(frozen=True)
class Retry:
    """Retry after `delay_seconds`, or as soon as the vendor may be called.

    `counts`: whether the failed attempt counts against max_attempts.
    """

    counts: bool
    delay_seconds: float = 0.0

    def not_before(self, now: datetime) -> datetime | None:
        return now + timedelta(seconds=self.delay_seconds) if self.delay_seconds else None


@dataclass(frozen=True)
class GiveUp:
    """Fail the job with this error code and message."""

    code: str
    message: str


def decide(
    error: VendorError, *, failures: int, vendor: Vendor, standing: Standing, chance: float
) -> Retry | GiveUp:
    """Decide about a failed attempt of a job with `failures` that counted before it.

    `chance` is a random number in [0, 1). Waiting is not failing: an attempt that fails due to a
    limit, a pause or an outage does not count.

    After an outage, or when the vendor throttles us, the job comes back a second after the next
    probe, so that another job makes it. A job that always fails must not be every probe.
    """
    if not error.outcome_known and not vendor.repeat_unknown:
        return GiveUp("outcome_unknown", f"{error.message} {OUTCOME_UNKNOWN}")
    held_seconds = _held_seconds(error, vendor, standing, chance)
    if held_seconds is not None:
        return Retry(counts=False, delay_seconds=held_seconds)
    if error.permanent or error.code in PERMANENT:
        return GiveUp(error.code, error.message)
    return decide_by_count(error, failures=failures, vendor=vendor, chance=chance)


def decide_by_count(
    error: VendorError, *, failures: int, vendor: Vendor, chance: float
) -> Retry | GiveUp:
    """Decide about an attempt that counts: give up after max_attempts.

    The delay has "full jitter": it is a random part of one that doubles with each failure
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    if failures + 1 >= vendor.max_attempts:
        attempts = "1 attempt" if vendor.max_attempts == 1 else f"{vendor.max_attempts} attempts"
        return GiveUp(error.code, f"{error.message} Gave up after {attempts}.")
    return Retry(counts=True, delay_seconds=chance * min(CAP_SECONDS, BASE_SECONDS * 2**failures))


def _held_seconds(
    error: VendorError, vendor: Vendor, standing: Standing, chance: float
) -> float | None:
    """Return the delay of a job whose vendor is held by a pause or its breaker after this error;
    None if it is not.
    """
    if error.code == "rate_limited":
        return _pause_seconds(error, vendor, standing) + 1 + chance
    if error.code in ("no_credits", TOKEN_REFUSED):
        return 0.0
    if error.permanent:
        return None
    if error.outage and standing.in_outage and error.retry_after is None:
        return standing.open_seconds + 1 + chance
    is_denied = signal_of(error) == "denied" and standing.denied_jobs >= DENIED_JOBS
    return 0.0 if is_denied or error.retry_after is not None else None


def _pause_seconds(error: VendorError, vendor: Vendor, standing: Standing) -> float:
    """Return for how long the vendor is paused after a throttled answer: not if that pauses the key
    alone, because the job can be called with another.
    """
    if error.retry_after is not None:
        has_others = vendor.credential is not None and vendor.credential.has_others
        return 0.0 if has_others else error.retry_after.total_seconds()
    return standing.throttle.pause_seconds if standing.throttle else throttle.UNIT_SECONDS
