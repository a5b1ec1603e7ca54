"""The state of a job or a vendor in words: what holds it, since when, and until when."""

from datetime import datetime

from jobs.admin import key_states
from jobs.admin.formats import counted, moment
from jobs.models import Job, Status
from jobs.queue.health.breaker import OpenBreaker
from jobs.queue.heartbeat import no_live_worker_message
from jobs.queue.snapshot import Snapshot
from vendors.models import CredentialKey, Vendor

NO_REDIS = "Redis does not answer. Start it: jobs are accepted, and run when it is back."
NO_VENDOR = "Its vendor no longer exists. Add the vendor again, or cancel the job."
DISABLED = "The vendor is disabled: it accepts no new jobs, but this job will still run."


def job_state(job: Job, vendor: Vendor | None, snapshot: Snapshot) -> str:
    """Return what an open job waits for."""
    if job.status == Status.QUEUED:
        return " ".join(queued_reasons(job, vendor, snapshot))
    if job.status == Status.WAITING:
        return waiting_for(job, vendor, snapshot.now)
    calling = f"Worker {job.worker} has been calling the vendor since"
    return f"{calling} {moment(job.started_at)}.{_silence(job.worker, snapshot)}"


def waiting_for(job: Job, vendor: Vendor | None, now: datetime) -> str:
    """Return what will end the wait of a job that the vendor accepted, and until when it waits."""
    name = f" as {job.vendor_reference}" if job.vendor_reference else ""
    accepted, until = f"The vendor accepted the job{name}.", moment(job.deadline_at)
    expects_callback = vendor is None or vendor.expects_callback
    if job.next_poll_at is None:
        what = "Its callback" if expects_callback else "It is not polled again. Its answer"
        return f"{accepted} {what} is due by {until}."
    due = "is due now" if job.next_poll_at <= now else f"is due at {moment(job.next_poll_at)}"
    if expects_callback:
        return f"{accepted} Its callback or a poll ends the wait, by {until}. The next poll {due}."
    return f"{accepted} It is polled until {until}. The next poll {due}."


def _silence(worker: str, snapshot: Snapshot) -> str:
    seconds = snapshot.silent_seconds(worker)
    return f" This worker has been silent for {seconds:.0f} s: it may be frozen." if seconds else ""


def queued_reasons(job: Job, vendor: Vendor | None, snapshot: Snapshot) -> list[str]:
    """Return everything that holds a queued job; if nothing does, how long its queue is."""
    if vendor is None:
        return [NO_VENDOR]
    held = snapshot.vendors.get(vendor.slug)
    reasons = [] if snapshot.redis_answers else [NO_REDIS]
    if snapshot.redis_answers and (no_worker := no_live_worker_message(snapshot.workers)):
        reasons.append(no_worker)
    if vendor.is_paused(snapshot.now):
        reasons.append(f"The vendor is {pause(vendor)}.")
    if held and held.breaker:
        reasons.append(f"The vendor is {breaker(held.breaker, snapshot.now)}.")
    reasons += _delay(job, snapshot.now)
    if held and not reasons:
        waits = f"Waiting for its turn since {moment(job.queued_at)}."
        reasons = [held.hold.message if held.hold else waits]
        queue = f"{counted(held.queued, 'job')} queued and {held.calling:,} being called"
        reasons.append(f"The vendor has {queue}.")
    reasons += [] if vendor.enabled else [DISABLED]
    return reasons + _expiry(job)


def _delay(job: Job, now: datetime) -> list[str]:
    if job.not_before is None or job.not_before <= now:
        return []
    which = "next" if job.attempt else "first"
    return [f"The {which} attempt starts at {moment(job.not_before)} or later."]


def _expiry(job: Job) -> list[str]:
    if job.deadline_at is None:
        return []
    return [f"If it is not started by {moment(job.deadline_at)}, it fails as expired."]


def vendor_state(vendor: Vendor, snapshot: Snapshot) -> str:
    """Return whether a vendor is running, paused or down, and what else holds its queue."""
    held = snapshot.vendors.get(vendor.slug)
    states = [pause(vendor)] if vendor.is_paused(snapshot.now) else []
    if states and "poll" in vendor.definition and vendor.allows_polls(snapshot.now):
        states.append("polls go on")
    if held and held.breaker:
        states.append(breaker(held.breaker, snapshot.now))
    is_held = held and held.queued and held.hold and not states
    keys = "" if vendor.is_paused(snapshot.now) else key_states.summary(vendor, snapshot)
    state = ["; ".join(states or ["running"]), *([keys] if keys else [])]
    if held and held.hold and is_held:
        state.append(held.hold.message.rstrip(".").replace("Held", "held", 1))
    return ", ".join(state)


def pause(vendor: Vendor | CredentialKey) -> str:
    """Return until when a paused vendor is paused, why, by whom, and since when."""
    until = "" if vendor.paused else f" until {moment(vendor.paused_until)}"
    reason = f": {vendor.pause_reason.rstrip('.')}" if vendor.pause_reason else ""
    by = [f"by {vendor.paused_by}"] if vendor.paused_by else []
    since = [f"since {moment(vendor.paused_at)}"] if vendor.paused_at else []
    details = ", ".join(by + since)
    return f"paused{until}{reason}" + (f" ({details})" if details else "")


def breaker(opened: OpenBreaker, now: datetime) -> str:
    code = [opened.code] if opened.code else []
    since = [f"since {moment(opened.since)}"] if opened.since else []
    details = ", ".join(code + since)
    if opened.is_probing:
        probe = "a probe is in progress"
    elif opened.next_probe > now:
        probe = f"next probe at {moment(opened.next_probe)}"
    else:
        probe = "the next job to start is the probe"
    what = "throttling us" if opened.is_throttled else "down"
    return what + (f" ({details})" if details else "") + f": its breaker is open, {probe}"
