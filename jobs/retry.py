"""Whether and when a failed attempt is retried: a pure decision."""

from dataclasses import dataclass

from jobs.queue.breaker import DENIED_JOBS, Standing, outcome
from vendors.base import VendorError
from vendors.models import Vendor

OUTCOME_UNKNOWN = (
    "It is unknown whether the vendor did the work, and repeat_unknown is off for this vendor."
)
BASE_SECONDS = 1.0
CAP_SECONDS = 300.0


@dataclass(frozen=True)
class Retry:
    """Retry after `delay_seconds`, or as soon as the vendor may be called.

    `counts`: whether the failed attempt counts against max_attempts.
    """

    counts: bool
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class GiveUp:
    """Fail the job with this error code and message."""

    code: str
    message: str


def decide(
    error: VendorError, *, failures: int, vendor: Vendor, standing: Standing, chance: float
) -> Retry | GiveUp:
    """Decide about a failed attempt of a job with `failures` that counted before it.

    `chance` is a random number in [0, 1). The delay has "full jitter": it is a random part of a
    delay that doubles with each failure
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Waiting is not
    failing: an attempt that fails due to a limit, a pause or an outage does not count.
    """
    if not error.outcome_known and not vendor.repeat_unknown:
        return GiveUp("outcome_unknown", f"{error.message} {OUTCOME_UNKNOWN}")
    is_unpaid = error.code == "no_credits"
    if error.permanent and not is_unpaid:
        return GiveUp(error.code, error.message)
    is_denied = outcome(error) == "denied" and standing.denied_jobs >= DENIED_JOBS
    if error.retry_after is not None or is_denied or is_unpaid:
        return Retry(counts=False)  # the vendor is paused by now
    if error.outage and standing.in_outage:
        # A second after the next probe, so that another job makes it. A job that always fails must
        # not be every probe.
        return Retry(counts=False, delay_seconds=standing.open_seconds + 1 + chance)
    if failures + 1 >= vendor.max_attempts:
        attempts = "1 attempt" if vendor.max_attempts == 1 else f"{vendor.max_attempts} attempts"
        return GiveUp(error.code, f"{error.message} Gave up after {attempts}.")
    return Retry(counts=True, delay_seconds=chance * min(CAP_SECONDS, BASE_SECONDS * 2**failures))
