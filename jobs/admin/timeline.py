"""What happened to a job, oldest first: attempts with the vendor's replies, and callbacks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin import formats
from jobs.models import Attempt, Callback, Job, Kind, Verdict

MAX_EACH = 100
MAX_HEADERS = 30
MAX_HEADER_CHARACTERS = 300
MAX_BODY_CHARACTERS = 4096
BADGE_KINDS = {"found": "complete", "no_data": "complete", "pending": "waiting"}
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
    """Return the newest MAX_EACH attempts and callbacks of a job, oldest first."""
    attempts = Attempt.objects.filter(job=job.pk).order_by("-number")[:MAX_EACH]
    callbacks = Callback.objects.filter(job=job.pk).order_by("-received_at").defer("body")
    events = [_attempt(attempt, shows_bodies) for attempt in attempts]
    events += [_callback(callback, links_callbacks) for callback in callbacks[:MAX_EACH]]
    return sorted(events, key=lambda event: event.at)


def verdict(callback: Callback) -> SafeString:
    kind = VERDICT_BADGE_KINDS.get(callback.verdict, "cancelled")
    return formats.badge(callback.verdict or "not yet applied", kind)


def _attempt(attempt: Attempt, shows_body: bool) -> TimelineRow:
    kind = "Attempt" if attempt.kind == Kind.CALL else f"{attempt.kind.capitalize()} of attempt"
    return TimelineRow(
        at=attempt.started_at,
        what=f"{kind} {attempt.number}" + (f", run {attempt.run}" if attempt.run > 1 else ""),
        outcome=formats.badge(attempt.outcome, BADGE_KINDS.get(attempt.outcome, "failed")),
        duration=formats.duration(attempt.started_at, attempt.ended_at),
        by=attempt.worker,
        note=attempt.message,
        reply=_reply(attempt.reply, shows_body) if isinstance(attempt.reply, dict) else "",
    )


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
