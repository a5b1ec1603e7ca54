"""What happened to one job, oldest first: its attempts and the callbacks that came for it."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from jobs.admin import shown
from jobs.models import Attempt, Delivery, Job, Verdict

MOST_EACH = 100
KINDS = {"done": "complete", "accepted": "waiting"}
VERDICT_KINDS = {"": "queued", Verdict.APPLIED: "complete", Verdict.REFUSED: "failed", Verdict.UNREADABLE: "failed"}


@dataclass(frozen=True)
class Event:
    at: datetime
    what: str
    outcome: SafeString
    duration: str
    by: str
    note: str

    @property
    def moment(self) -> str:
        return shown.moment(self.at)


def timeline(job: Job) -> list[Event]:
    """Return the newest MOST_EACH of its attempts and callbacks, oldest first."""
    attempts = Attempt.objects.filter(job=job.pk).order_by("-number")[:MOST_EACH]
    deliveries = Delivery.objects.filter(job=job.pk).order_by("-received_at").defer("body")[:MOST_EACH]
    events = [*map(_attempt, attempts), *map(_delivery, deliveries)]
    return sorted(events, key=lambda event: event.at)


def _attempt(attempt: Attempt) -> Event:
    return Event(
        at=attempt.started_at,
        what=f"Attempt {attempt.number}" + (f", run {attempt.run}" if attempt.run > 1 else ""),
        outcome=shown.badge(attempt.outcome, KINDS.get(attempt.outcome, "failed")),
        duration=shown.duration(attempt.started_at, attempt.ended_at),
        by=attempt.worker,
        note=attempt.message,
    )


def _delivery(delivery: Delivery) -> Event:
    answers = f", answers attempt {delivery.attempt}" if delivery.attempt else ""
    repeated = f", received {delivery.times_received} times" if delivery.times_received > 1 else ""
    reason = f"; {delivery.reason}" if delivery.reason else ""
    return Event(
        at=delivery.received_at,
        what="Callback",
        outcome=verdict(delivery),
        duration="",
        by=delivery.vendor,
        note=f"{delivery.body_bytes:,} bytes{answers}{repeated}{reason}",
    )


def verdict(delivery: Delivery) -> SafeString:
    return shown.badge(delivery.verdict or "not yet applied", VERDICT_KINDS.get(delivery.verdict, "cancelled"))
