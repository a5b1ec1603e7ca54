"""What happened to a job, oldest first: attempts and polls with the vendor's replies, callbacks,
what people did, and what is due next.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from jobs.admin import formats
from jobs.admin.jobs import events, replies
from jobs.admin.jobs.events import MAX_EACH, Event
from jobs.admin.page import texts
from jobs.models import UNKNOWN, Attempt, Job, Kind
from jobs.queue.clock import redis_clock
from vendors.base import Outcome
from vendors.catalogue import catalogue

UNDER_WAY = "under way"
NOT_RECORDED = "Its worker stopped before it recorded an answer."
RECORDING_TIME = timedelta(seconds=30)  # from the end of a call to its outcome in the row
MAX_TIMEOUT_SECONDS = 3600  # of a vendor that no longer exists
BADGE_KINDS = {UNDER_WAY: "processing", UNKNOWN: "cancelled"}
BADGE_KINDS |= {"found": "complete", "no_data": "complete", "pending": "waiting"}
GOOD = (Outcome.FOUND, Outcome.NO_DATA, Outcome.PENDING)


def timeline(job: Job, *, shows_bodies: bool, only_errors: bool = False) -> list[Event]:
    """Return the newest MAX_EACH attempts, polls, callbacks and acts, oldest first."""
    happened = [*_calls(job, shows_bodies), *events.callbacks(job)]
    if only_errors:
        return sorted((it for it in happened if it.is_error), key=_at)
    happened += [events.accepted(job), *events.acts(job), *events.end(job)]
    return sorted(happened, key=_at) + sorted(events.due(job, redis_clock.now()), key=_at)


def longest(shown: list[Event]) -> float:
    """Return the seconds that the longest event took, which fill its bar."""
    return max((event.seconds or 0 for event in shown), default=0)


def failures(job: Job) -> int:
    """Return how many attempts of this run have failed. The job's own count, by which it is called
    again or not, leaves out the one that ended it.
    """
    calls = Attempt.objects.filter(job=job.pk, run=job.run, kind=Kind.CALL)
    return max(job.failures, calls.exclude(outcome__in=(*GOOD, UNKNOWN)).count())


def _at(event: Event) -> datetime:
    return event.at


def _calls(job: Job, shows_bodies: bool) -> Iterator[Event]:
    of_job = Attempt.objects.filter(job=job.pk).order_by("-number", "-started_at")
    calls = [*of_job.filter(kind=Kind.CALL)[:MAX_EACH], *of_job.exclude(kind=Kind.CALL)[:MAX_EACH]]
    ended_before = _ended_before(job)
    for attempt in calls:
        yield _call(job, attempt, shows_bodies, ended_before)


def _ended_before(job: Job) -> datetime:
    """Return the time before which a call must have started to have ended by now."""
    vendor = catalogue.get(job.vendor)
    timeout_seconds = vendor.timeout_seconds if vendor else MAX_TIMEOUT_SECONDS
    return redis_clock.now() - timedelta(seconds=timeout_seconds) - RECORDING_TIME


def _call(job: Job, attempt: Attempt, shows_body: bool, ended_before: datetime) -> Event:
    kind = "Attempt" if attempt.kind == Kind.CALL else f"{attempt.kind.capitalize()} of attempt"
    is_known = attempt.outcome != UNKNOWN
    is_under_way = not is_known and attempt.started_at > ended_before
    outcome = UNDER_WAY if is_under_way else attempt.outcome
    # Both times are those of the worker's clock, which may be set back meanwhile.
    took = max((attempt.ended_at - attempt.started_at).total_seconds(), 0.0)
    return Event(
        at=attempt.started_at,
        what=f"{kind} {attempt.number}" + (f", run {attempt.run}" if attempt.run > 1 else ""),
        outcome=formats.badge(outcome, BADGE_KINDS.get(outcome, "failed")),
        seconds=took if is_known else None,
        by=attempt.worker,
        note=" ".join(_notes(job, attempt, is_known or is_under_way)),
        reply=replies.shown(attempt.reply, shows_body) if isinstance(attempt.reply, dict) else "",
        run=attempt.run,
        is_error=is_known and attempt.outcome not in GOOD,
    )


def _notes(job: Job, attempt: Attempt, is_complete: bool) -> Iterator[str]:
    """Yield what the vendor said beside its answer. `is_complete`: whether nothing is missing."""
    if not is_complete:
        yield NOT_RECORDED
    elif attempt.outcome != UNKNOWN and attempt.message:
        yield attempt.message
    if attempt.number == 1 and attempt.kind == Kind.CALL:
        waited = (attempt.started_at - job.created_at).total_seconds()
        yield f"Waited {texts.words_of(max(waited, 0))}."
    if attempt.credential:
        yield f"Key: {attempt.credential}."
    if attempt.vendor_reference:
        yield f"Vendor's reference: {attempt.vendor_reference}."
    if attempt.cost is not None:
        yield f"Cost: {attempt.cost:g}."
    if attempt.confidence is not None:
        yield f"Confidence: {attempt.confidence:g}."
