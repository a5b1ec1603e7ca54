"""What happened to one job, oldest first: its attempts, with what the vendor said, and the
callbacks that came for it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin import shown
from jobs.models import Attempt, Callback, Job, Kind, Verdict

MAX_EACH = 100
MAX_HEADERS = 30
MAX_HEADER_CHARACTERS = 300
MAX_BODY_CHARACTERS = 4096
KINDS = {"done": "complete", "accepted": "waiting"}
VERDICT_KINDS = {
    "": "queued",
    Verdict.APPLIED: "complete",
    Verdict.REFUSED: "failed",
    Verdict.UNREADABLE: "failed",
}


@dataclass(frozen=True)
class Event:
    at: datetime
    what: str
    outcome: SafeString
    duration: str
    by: str
    note: str
    reply: SafeString | str = ""  # what the vendor said

    @property
    def moment(self) -> str:
        return shown.moment(self.at)


def timeline(job: Job, *, shows_bodies: bool, links_callbacks: bool) -> list[Event]:
    """Return the newest MAX_EACH of its attempts and callbacks, oldest first."""
    attempts = Attempt.objects.filter(job=job.pk).order_by("-number")[:MAX_EACH]
    callbacks = (
        Callback.objects.filter(job=job.pk).order_by("-received_at").defer("body")[:MAX_EACH]
    )
    events = [_attempt(attempt, shows_bodies) for attempt in attempts]
    events += [_callback(callback, links_callbacks) for callback in callbacks]
    return sorted(events, key=lambda event: event.at)


def _attempt(attempt: Attempt, shows_body: bool) -> Event:
    kind = "Attempt" if attempt.kind == Kind.CALL else f"{attempt.kind.capitalize()} of attempt"
    return Event(
        at=attempt.started_at,
        what=f"{kind} {attempt.number}" + (f", run {attempt.run}" if attempt.run > 1 else ""),
        outcome=shown.badge(attempt.outcome, KINDS.get(attempt.outcome, "failed")),
        duration=shown.duration(attempt.started_at, attempt.ended_at),
        by=attempt.worker,
        note=attempt.message,
        reply=_reply(attempt.reply, shows_body) if isinstance(attempt.reply, dict) else "",
    )


def _reply(reply: dict[str, Any], shows_body: bool) -> SafeString:
    """Return the vendor's reply, folded: its status, its headers and, for those who may see it, its
    body.
    """
    headers = reply.get("headers")
    pairs = list(headers.items())[:MAX_HEADERS] if isinstance(headers, dict) else []
    lines = format_html_join(
        "",
        "<div>{}: {}</div>",
        ((shown.cut(str(part), MAX_HEADER_CHARACTERS) for part in pair) for pair in pairs),
    )
    return format_html(
        '<details class="reply"><summary>The vendor answered {}</summary>{}{}</details>',
        shown.cut(str(reply.get("status") or "without a status"), MAX_HEADER_CHARACTERS),
        lines,
        _body(reply.get("body"), shows_body),
    )


def _body(body: Any, shows_body: bool) -> str | SafeString:
    if body and not shows_body:
        return format_html("<p>{}</p>", "Its body is shown to those who may retry jobs.")
    if isinstance(body, str) and body:
        return format_html('<pre class="json">{}</pre>', shown.cut(body, MAX_BODY_CHARACTERS))
    return shown.pretty(body) if body else format_html("<p>{}</p>", "It had no body.")


def _callback(callback: Callback, is_linked: bool) -> Event:
    reason = f"{callback.reason.rstrip('.')}: " if callback.reason else ""
    answers = f", answers attempt {callback.attempt}" if callback.attempt else ""
    repeated = f", received {callback.times_received} times" if callback.times_received > 1 else ""
    url = reverse("admin:jobs_callback_change", args=[callback.pk])
    return Event(
        at=callback.received_at,
        what=format_html('<a href="{}">Callback</a>', url) if is_linked else "Callback",
        outcome=verdict(callback),
        duration="",
        by=callback.vendor,
        note=f"{reason}{callback.body_bytes:,} bytes{answers}{repeated}",
    )


def verdict(callback: Callback) -> SafeString:
    return shown.badge(
        callback.verdict or "not yet applied", VERDICT_KINDS.get(callback.verdict, "cancelled")
    )
