"""What happened to a job, oldest first: attempts and polls with the vendor's replies, and
callbacks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin import formats
from jobs.models import UNKNOWN, Attempt, Callback, Job, Kind, Verdict
from jobs.queue.clock import redis_clock
from vendors.catalogue import catalogue

MAX_EACH = 100
MAX_HEADERS = 30
MAX_HEADER_CHARACTERS = 300
MAX_BODY_CHARACTERS = 4096
UNDER_WAY = "under way"
NOT_RECORDED = "Its worker stopped before it recorded an answer."
RECORDING_TIME = timedelta(seconds=30)  # from the end of a call to its outcome in the row
MAX_TIMEOUT_SECONDS = 3600  # of a vendor that no longer exists
BADGE_KINDS = {UNDER_WAY: "processing", UNKNOWN: "cancelled"}
BADGE_KINDS |= {"found": "complete", "no_data": "complete", "pending": "waiting"}
VERDICT_BADGE_KINDS = {
    "": "queued",
    Verdict.APPLIED: "complete",
    Verdict.POLLED: "waiting",
    Verdict.REFUSED: "failed",
    Verdict.UNREADABLE: "failed",
}
NO_BODY = format_html("<p>{}</p>", "Without a body.")
HIDDEN_BODY = format_html("<p>{}</p>", "You need the permission to retry jobs to see the body.")


@dataclass(frozen=True)
class TimelineRow:
    at: datetime
    what: str
    outcome: SafeString
    duration: str
    by: str
    note: str
    reply: SafeString | str = ""  # of the vendor

    @property
    def moment(self) -> str:
        return formats.moment(self.at)


def timeline(job: Job, *, shows_bodies: bool, links_callbacks: bool) -> list[TimelineRow]:
    """Return the newest MAX_EACH attempts, polls and callbacks of a job, oldest first."""
    of_job = Attempt.objects.filter(job=job.pk).order_by("-number", "-started_at")
    calls = [*of_job.filter(kind=Kind.CALL)[:MAX_EACH], *of_job.exclude(kind=Kind.CALL)[:MAX_EACH]]
    callbacks = Callback.objects.filter(job=job.pk).order_by("-received_at").defer("body")
    ended_before = _ended_before(job)
    events = [_attempt(attempt, shows_bodies, ended_before) for attempt in calls]
    events += [_callback(callback, links_callbacks) for callback in callbacks[:MAX_EACH]]
    return sorted(events, key=lambda event: event.at)


def _ended_before(job: Job) -> datetime:
    """Return the time before which a call must have started to have ended by now."""
    vendor = catalogue.get(job.vendor)
    timeout_seconds = vendor.timeout_seconds if vendor else MAX_TIMEOUT_SECONDS
    return redis_clock.now() - timedelta(seconds=timeout_seconds) - RECORDING_TIME


def verdict(callback: Callback) -> SafeString:
    kind = VERDICT_BADGE_KINDS.get(callback.verdict, "cancelled")
    return formats.badge(callback.verdict or "not yet applied", kind)


def _attempt(attempt: Attempt, shows_body: bool, ended_before: datetime) -> TimelineRow:
    kind = "Attempt" if attempt.kind == Kind.CALL else f"{attempt.kind.capitalize()} of attempt"
    is_known = attempt.outcome != UNKNOWN
    is_under_way = not is_known and attempt.started_at > ended_before
    outcome = UNDER_WAY if is_under_way else attempt.outcome
    return TimelineRow(
        at=attempt.started_at,
        what=f"{kind} {attempt.number}" + (f", run {attempt.run}" if attempt.run > 1 else ""),
        outcome=formats.badge(outcome, BADGE_KINDS.get(outcome, "failed")),
        duration=formats.duration(attempt.started_at, attempt.ended_at) if is_known else "",
        by=attempt.worker,
        note=" ".join(_notes(attempt, is_known or is_under_way)),
        reply=_reply(attempt.reply, shows_body) if isinstance(attempt.reply, dict) else "",
    )


def _notes(attempt: Attempt, is_complete: bool) -> Iterator[str]:
    """Yield what the vendor said beside its answer. `is_complete`: whether nothing is missing."""
    if not is_complete:
        yield NOT_RECORDED
    elif attempt.outcome != UNKNOWN and attempt.message:
        yield attempt.message
    if attempt.credential:
        yield f"Key: {attempt.credential}."
    if attempt.vendor_reference:
        yield f"Vendor's reference: {attempt.vendor_reference}."
    if attempt.cost is not None:
        yield f"Cost: {attempt.cost:g}."
    if attempt.confidence is not None:
        yield f"Confidence: {attempt.confidence:g}."


def _reply(reply: dict[str, Any], shows_body: bool) -> SafeString:
    """Return the vendor's reply, collapsed: status, headers and, if `shows_body`, its body."""
    headers = reply.get("headers")
    pairs = list(headers.items())[:MAX_HEADERS] if isinstance(headers, dict) else []
    lines = ([formats.truncated(str(part), MAX_HEADER_CHARACTERS) for part in it] for it in pairs)
    status = str(reply.get("status") or "without a status")
    return format_html(
        '<details class="reply"><summary>The vendor answered {}</summary>{}{}</details>',
        formats.truncated(status, MAX_HEADER_CHARACTERS),
        format_html_join("", "<div>{}: {}</div>", lines),
        _body(reply.get("body"), shows_body),
    )


def _body(body: Any, shows_body: bool) -> str | SafeString:
    if not body:
        return NO_BODY
    if not shows_body:
        return HIDDEN_BODY
    if isinstance(body, str):
        text = formats.truncated(body, MAX_BODY_CHARACTERS)
        return format_html('<pre class="json">{}</pre>', text)
    return formats.pretty(body)


def _callback(callback: Callback, is_linked: bool) -> TimelineRow:
    reason = f"{callback.reason.rstrip('.')}: " if callback.reason else ""
    answers = f", answers attempt {callback.attempt}" if callback.attempt else ""
    named = f", names {callback.vendor_reference}" if callback.vendor_reference else ""
    repeated = f", received {callback.times_received} times" if callback.times_received > 1 else ""
    url = reverse("admin:jobs_callback_change", args=[callback.pk])
    return TimelineRow(
        at=callback.received_at,
        what=format_html('<a href="{}">Callback</a>', url) if is_linked else "Callback",
        outcome=verdict(callback),
        duration="",
        by=callback.vendor,
        note=f"{reason}{formats.counted(callback.body_bytes, 'byte')}{named}{answers}{repeated}",
    )
