"""Where a job or a vendor stands, in sentences: what holds it, since when, and when it goes on."""

from datetime import datetime

from jobs.admin.shown import moment
from jobs.models import Job, Status
from jobs.queue.breaker import OpenBreaker
from jobs.queue.heartbeat import no_live_worker_message
from jobs.queue.snapshot import Snapshot, VendorSnapshot
from vendors.models import Vendor

REDIS_AWAY = "Redis does not answer. Jobs are accepted and kept, and start when it is back."


def job_state(job: Job, vendor: Vendor | None, snapshot: Snapshot) -> str:
    match job.status:
        case Status.QUEUED:
            return " ".join(why_queued(job, vendor, snapshot))
        case Status.PROCESSING:
            silence = snapshot.silent_seconds(job.worker)
            silent = (
                f" The worker has been silent for {silence:.0f} s: it may be frozen."
                if silence
                else ""
            )
            return f"Worker {job.worker} has been calling the vendor since {moment(job.started_at)}.{silent}"
        case Status.WAITING:
            return f"The vendor took the job; its callback is due by {moment(job.deadline_at)}."
        case Status.COMPLETE:
            return f"Ended at {moment(job.finished_at)} with a result."
        case Status.FAILED:
            return f"Failed at {moment(job.finished_at)}: {job.error_message}"
    return f"Cancelled at {moment(job.finished_at)}."


def why_queued(job: Job, vendor: Vendor | None, snapshot: Snapshot) -> list[str]:
    """Return everything that holds a queued job; where nothing does, how many jobs are queued with
    it.
    """
    if vendor is None:
        return [
            "Waits for its vendor, which no longer exists. Add the vendor again, or cancel the job."
        ]
    held = snapshot.vendors.get(vendor.slug)
    reasons = [] if snapshot.redis_answers else [REDIS_AWAY]
    if snapshot.redis_answers and (none_alive := no_live_worker_message(snapshot.workers)):
        reasons.append(none_alive)
    if vendor.is_paused(snapshot.now):
        reasons.append(f"Waits for its vendor, which is {pause(vendor)}.")
    if held and held.breaker:
        reasons.append(f"Waits for its vendor, which is {breaker(held.breaker, snapshot.now)}.")
    if job.not_before and job.not_before > snapshot.now:
        reasons.append(
            f"Waits for its next attempt, which starts at {moment(job.not_before)} or later."
        )
    if held and not reasons:
        waits = [f"Waits {limit}." for limit in limits(vendor, held, snapshot.now)]
        reasons = waits or [f"Waits for its turn since {moment(job.queued_at)}."]
        reasons.append(f"Of this vendor, {held.queued:,} queued and {held.calling:,} being called.")
    if not vendor.enabled:
        reasons.append("The vendor is disabled: new jobs are refused, but this one is still done.")
    return reasons


def vendor_state(vendor: Vendor, snapshot: Snapshot) -> str:
    """Return whether a vendor is called: running, paused, down or at a limit."""
    held = snapshot.vendors.get(vendor.slug)
    states = [pause(vendor)] if vendor.is_paused(snapshot.now) else []
    if held and held.breaker:
        states.append(breaker(held.breaker, snapshot.now))
    if held and held.queued and not states:
        states = [f"running; waits {limit}" for limit in limits(vendor, held, snapshot.now)[:1]]
    return "; ".join(states or ["running"])


def pause(vendor: Vendor) -> str:
    """Return of a paused vendor until when, why, by whom and since when it is paused."""
    until = "" if vendor.paused else f" until {moment(vendor.paused_until)}"
    reason = f": {vendor.pause_reason.rstrip('.')}" if vendor.pause_reason else ""
    who = [f"by {vendor.paused_by}"] if vendor.paused_by else []
    since = [f"since {moment(vendor.paused_at)}"] if vendor.paused_at else []
    details = ", ".join(who + since)
    return f"paused{until}{reason}" + (f" ({details})" if details else "")


def breaker(opening: OpenBreaker, now: datetime) -> str:
    since = f" since {moment(opening.since)}" if opening.since else ""
    code = f" ({opening.code})" if opening.code else ""
    if opening.is_probing:
        probe = "one job probes whether it is back"
    elif opening.next_probe > now:
        probe = f"the next probe is due at {moment(opening.next_probe)}"
    else:
        probe = "the next job that may start is the probe"
    return f"down{since}{code}: its breaker is open, and {probe}"


def limits(vendor: Vendor, held: VendorSnapshot, now: datetime) -> list[str]:
    """Return which limits of its own hold the vendor's queue now, each in words that follow
    'waits'.
    """
    found = []
    if vendor.max_in_flight and held.in_flight >= vendor.max_in_flight:
        found.append(
            f"for the in-flight cap: {held.in_flight:,} of at most {vendor.max_in_flight:,} jobs are in flight"
        )
    if held.max_calls is not None and held.calling >= held.max_calls:
        calls = f"{held.max_calls} call{'' if held.max_calls == 1 else 's'}"
        found.append(
            f"while the vendor recovers from an outage: it gets {calls} at a time, and more as they succeed"
        )
    if held.next_start and held.next_start > now:
        found.append(
            f"for the rate limit {vendor.rate_limits}: the next call may start at {moment(held.next_start)}"
        )
    return found
