"""How things are shown to an operator: times, JSON, and the state of a job in words."""

import json
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.models import Job, Status
from vendors.models import Vendor

MOST_CHARACTERS = 20_000
UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def badge(word: str, kind: str = "") -> SafeString:
    """Return the word on a coloured ground; `kind` names the colour where the word does not."""
    return format_html('<span class="badge badge-{}">{}</span>', kind or word, word)


def moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "-"


def age(at: datetime, now: datetime) -> SafeString:
    """Return how long ago it was, in the largest unit."""
    seconds = max(int((now - at).total_seconds()), 0)
    unit, size = next(((unit, size) for unit, size in UNITS if seconds >= size), UNITS[-1])
    return format_html('<span title="{}">{} {}</span>', moment(at), seconds // size, unit)


def duration(start: datetime, end: datetime) -> str:
    return f"{(end - start).total_seconds():.2f} s"


def pretty(value: Any) -> str | SafeString:
    """Return the JSON value in lines, cut where it is too long to be read anyway."""
    if value is None:
        return "-"
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # Half a surrogate pair can be kept as JSON, but not be sent as UTF-8.
    text = text.encode("utf-8", "replace").decode()
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}\n… cut here: it has {len(text):,} characters, and the API has all of them."
    return format_html('<pre class="json">{}</pre>', text)


def state(job: Job, vendor: Vendor | None, now: datetime) -> str:
    """Return where the job stands, in a sentence."""
    match job.status:
        case Status.QUEUED:
            return _queued(job, vendor, now)
        case Status.PROCESSING:
            return f"Worker {job.worker} has been calling the vendor since {moment(job.started_at)}."
        case Status.WAITING:
            return f"The vendor took the job; its callback is due by {moment(job.deadline_at)}."
        case Status.COMPLETE:
            return f"Ended at {moment(job.finished_at)} with a result."
        case Status.FAILED:
            return f"Failed at {moment(job.finished_at)}: {job.error_message}"
    return f"Cancelled at {moment(job.finished_at)}."


def _queued(job: Job, vendor: Vendor | None, now: datetime) -> str:
    if vendor is None:
        return "Queued, but its vendor no longer exists."
    if vendor.is_paused(now):
        return f"Waits for its vendor, which is {pause(vendor, now)}."
    if job.not_before:
        return f"Waits for its next try, not before {moment(job.not_before)}."
    return f"Waits for a worker and the vendor's limits since {moment(job.queued_at)}."


def pause(vendor: Vendor, now: datetime) -> str:
    """Return the vendor's state in words: running, or paused, until when and why."""
    if not vendor.is_paused(now):
        return "running"
    until = "" if vendor.paused else f" until {moment(vendor.paused_until)}"
    return f"paused{until}" + (f": {vendor.pause_reason.rstrip('.')}" if vendor.pause_reason else "")
