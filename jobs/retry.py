"""Whether and when a try that failed is made again: a pure decision."""

from dataclasses import dataclass

from jobs.queue.breaker import DENIED_JOBS, Standing, outcome
from vendors.base import VendorError
from vendors.models import Vendor

NOT_AGAIN = (
    "It is unknown whether the vendor did the work, and this vendor is set not to be called again."
)

BASE_SECONDS = 1.0
CAP_SECONDS = 300.0


@dataclass(frozen=True)
class Retry:
    """Try again after `delay_seconds`, or as soon as the vendor may be called. `counts`: against
    max_attempts.
    """

    counts: bool
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class GiveUp:
    code: str
    message: str


def decide(
    error: VendorError, *, failures: int, vendor: Vendor, standing: Standing, chance: float
) -> Retry | GiveUp:
    """Decide over a failed try of a job with that many counted `failures` before it; `chance` is a
    random number below 1.

    The delay is "full jitter": anything up to the doubled delay before
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Waiting is not
    failing: what the vendor's limit, pause or outage costs is not counted.
    """
    if not error.outcome_known and not vendor.repeat_unknown:
        return GiveUp("outcome_unknown", f"{error.message} {NOT_AGAIN}")
    is_unpaid = error.code == "payment_required"
    if error.permanent and not is_unpaid:
        return GiveUp(error.code, error.message)
    is_denied = outcome(error) == "denied" and standing.denied_jobs >= DENIED_JOBS
    if error.retry_after is not None or is_denied or is_unpaid:
        return Retry(counts=False)  # the vendor is paused by now
    if error.outage and standing.in_outage:
        # A second later than the next probe, so that another job makes it: one that always fails
        # must not be every probe.
        return Retry(counts=False, delay_seconds=standing.open_seconds + 1 + chance)
    if failures + 1 >= vendor.max_attempts:
        tries = "once" if vendor.max_attempts == 1 else f"{vendor.max_attempts} times"
        return GiveUp(error.code, f"{error.message} Tried {tries}.")
    return Retry(counts=True, delay_seconds=chance * min(CAP_SECONDS, BASE_SECONDS * 2**failures))
