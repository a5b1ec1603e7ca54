"""What happened to a job, beside the calls for it: callbacks, people's acts, its end, and what is
due next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from audit.models import Entry
from jobs.admin import formats
from jobs.admin.page import texts
from jobs.models import FINAL, BulkAction, Callback, Job, Status, Verdict

VERDICT_BADGE_KINDS = {
    "": "queued",
    Verdict.APPLIED: "complete",
    Verdict.POLLED: "waiting",
    Verdict.REFUSED: "failed",
    Verdict.UNREADABLE: "failed",
}
FAULTY = (Verdict.REFUSED, Verdict.UNREADABLE, Verdict.UNMATCHED)
ACTS = {
    "job.retried": "Retried",
    "job.cancelled": "Cancelled",
    "job.edited": "Edited and retried",
    "job.personal_data_seen": "Personal data shown",
}
BULK = {"retry": "Retried", "cancel": "Cancelled"}
ENDED = ("status", "finished_at")  # of an entry, before a retry
MAX_EACH = 100


@dataclass(frozen=True)
class Event:
    """A row of the timeline. `seconds`: how long it took; None if it took no time. `link`: the kind
    and id of what `what` leads to. `is_due`: it has not happened yet.
    """

    at: datetime
    what: str
    outcome: SafeString | str = ""
    by: str = ""
    note: str = ""
    seconds: float | None = None
    reply: SafeString | str = ""
    link: tuple[str, str] | None = None
    is_error: bool = False
    is_due: bool = False
    run: int = 0  # of an attempt


def callback_badge(callback: Callback) -> SafeString:
    """Return the verdict on a callback."""
    kind = VERDICT_BADGE_KINDS.get(callback.verdict, "cancelled")
    return formats.badge(callback.verdict or "not yet applied", kind)


def accepted(job: Job) -> Event:
    batch = f"Item {job.batch_index} of its batch." if job.batch else ""
    return Event(job.created_at, "Accepted", by=job.client, note=batch)


def callbacks(job: Job) -> Iterator[Event]:
    rows = Callback.objects.filter(job=job.pk).order_by("-received_at").defer("body")
    for callback in rows[:MAX_EACH]:
        yield Event(
            callback.received_at,
            "Callback",
            callback_badge(callback),
            by=callback.vendor,
            note=_callback_note(callback),
            link=("callback", callback.pk),
            is_error=callback.verdict in FAULTY,
        )


def acts(job: Job) -> Iterator[Event]:
    """Yield what people did to the job alone, and the bulk action that moved it last."""
    for entry in Entry.objects.filter(target=f"job:{job.pk}").order_by("-at")[:MAX_EACH]:
        what = ACTS.get(entry.action, entry.action)
        yield Event(entry.at, what, by=entry.actor, note=_act_note(entry))
        yield from _end_before(entry)
    action = BulkAction.objects.filter(pk=job.bulk).first() if job.bulk else None
    if action:
        what = f"{BULK.get(action.kind, action.kind)} by a bulk action"
        # The action's step is not noted; a job that is not final is queued by it, for example.
        yield Event(
            action.started_at, what, by=action.actor, note=action.reason, link=("bulk", action.pk)
        )


def _end_before(entry: Entry) -> Iterator[Event]:
    """Yield how the job had ended that a person then retried."""
    if set(ENDED) <= set(entry.changes):
        status, at = (entry.changes[name][0] for name in ENDED)
        yield Event(datetime.fromisoformat(at), "Finished", formats.badge(status))


def end(job: Job) -> Iterator[Event]:
    if job.status in FINAL and job.finished_at:
        # The verdict on top of the page says why it failed.
        seconds = max((job.finished_at - job.created_at).total_seconds(), 0)
        whole = f"{texts.words_of(seconds)} after it was accepted."
        yield Event(job.finished_at, "Finished", formats.badge(job.status), note=whole)


def due(job: Job, now: datetime) -> Iterator[Event]:
    """Yield what will happen next, as far as it has a time."""
    if job.status == Status.QUEUED and job.not_before and job.not_before > now:
        what = "Next attempt" if job.attempt else "First attempt"
        yield Event(job.not_before, what, note="Then or later.", is_due=True)
    if job.status == Status.WAITING and job.next_poll_at:
        yield Event(job.next_poll_at, "Next poll", is_due=True)
    deadlines = {Status.WAITING: "Its answer is overdue then.", Status.QUEUED: "It expires then."}
    if job.deadline_at and job.status in deadlines:
        yield Event(job.deadline_at, "Deadline", note=deadlines[Status(job.status)], is_due=True)


def _callback_note(callback: Callback) -> str:
    reason = f"{callback.reason.rstrip('.')}: " if callback.reason else ""
    answers = f", answers attempt {callback.attempt}" if callback.attempt else ""
    named = f", names {callback.vendor_reference}" if callback.vendor_reference else ""
    repeated = f", received {callback.times_received} times" if callback.times_received > 1 else ""
    return f"{reason}{formats.counted(callback.body_bytes, 'byte')}{named}{answers}{repeated}"


def _act_note(entry: Entry) -> str:
    fields = ", ".join(
        f"{name.removeprefix('input.')} {new}"
        for name, (_, new) in entry.changes.items()
        if name not in ENDED
    )
    return " · ".join(filter(None, [entry.reason, fields]))
