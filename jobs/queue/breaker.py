"""A vendor's breaker, shared by all workers (jobs/queue/lua/report.lua): opens after failures in a
row, then lets one probe through at a time; after a good one, the number of calls under way grows
back from one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby

from jobs.queue.keys import Keys
from jobs.queue.limiter import moment
from jobs.queue.redis import commands
from jobs.queue.scripts import script
from vendors.base import Accepted, Done, VendorError
from vendors.models import Vendor

DENIED_JOBS = 3


@dataclass(frozen=True)
class Standing:
    """How a vendor stands after a call: seconds until the next probe (0: closed), and how many jobs
    in a row it has denied.

    `in_outage`: the breaker is open, or was when the call was under way; or nobody can tell, with
    Redis away.
    """

    open_seconds: float = 0.0
    denied_jobs: int = 0
    in_outage: bool = False

    @property
    def is_open(self) -> bool:
        return self.open_seconds > 0


@dataclass(frozen=True)
class Opening:
    """A breaker that is open, as it is shown to people."""

    since: datetime | None
    code: str  # of the last error
    next_probe: datetime  # or, while one is under way, until when it is waited for
    is_probing: bool


@dataclass(frozen=True)
class Report:
    """How one call went, as far as the vendor's health goes."""

    outcome: str
    probe: str
    job_id: str
    started_us: int = 0  # by Redis' clock
    failures: int = 0  # of the job, that counted before
    code: str = ""  # of the error, where the call failed


def outcome(answer: Done | Accepted | VendorError | None) -> str:
    """Return what an answer says of the vendor's health; None stands for a call that was not made."""
    match answer:
        case Done() | Accepted():
            return "good"
        case VendorError(outage=True):
            return "bad"
        case VendorError(code="vendor_denied" | "api_key_missing"):
            return "denied"
        case VendorError(code="vendor_refused" | "bad_reply" | "payment_required"):
            return "good"
        case _:
            return "none"


def threshold(vendor: Vendor) -> int:
    """Return how many failures in a row open the breaker.

    Never more than the tries of a job: the failure that opens it is not counted, so that a job
    alone in its queue survives an outage of any length.
    """
    return 5 if vendor.max_attempts == 1 else min(5, vendor.max_attempts)


def report(vendor: Vendor, reports: Sequence[Report]) -> list[Standing]:
    """Tell the breaker how calls went, and return how each stands now. Raises redis.RedisError."""
    keys, alike = (
        Keys(vendor.slug),
        [list(group) for _, group in groupby(reports, key=_good_or_itself)],
    )
    told = [
        (item.outcome, item.probe, item.job_id, item.started_us, item.failures, len(of))
        for of in alike
        for item in of[-1:]
    ]
    code = next((item.code for item in reversed(reports) if item.outcome == "bad"), "")
    args = [threshold(vendor), code, *chain.from_iterable(told)]
    open_us, denied, *late = script("report")(
        keys=[keys.state, keys.freed], args=args, client=commands()
    )
    open_seconds = int(open_us) / 1e6
    standings = [
        Standing(open_seconds, int(denied), in_outage=open_seconds > 0 or bool(was_before))
        for was_before in late
    ]
    return [standing for standing, of in zip(standings, alike, strict=True) for _ in of]


def _good_or_itself(item: Report) -> int:
    """Good answers that came one after the other are told as one: they differ in nothing that the
    breaker wants to know.
    """
    return 0 if item.outcome == "good" and not item.probe else id(item)


def opening(gate: Mapping[str, str], now: datetime) -> Opening | None:
    """Return how the breaker in a vendor's gate is open; None where it is closed."""
    if "open_until" not in gate:
        return None
    probed_until = moment(gate["probe_until"]) if "probe_until" in gate else None
    is_probing = probed_until is not None and probed_until > now
    return Opening(
        since=moment(gate["opened_at"]) if "opened_at" in gate else None,
        code=gate.get("open_code", ""),
        next_probe=probed_until if probed_until and is_probing else moment(gate["open_until"]),
        is_probing=is_probing,
    )
