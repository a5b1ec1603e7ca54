"""The first page of the console: what is wrong, and each vendor with what it has to do."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django import template
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils.safestring import SafeString

from jobs.admin import sentences, shown
from jobs.models import Job, Status
from jobs.queue.heartbeat import no_live_worker_message
from jobs.queue.limiter import EPOCH
from jobs.queue.snapshot import MAX_VENDORS, Snapshot, take_snapshot
from vendors.catalogue import catalogue
from vendors.models import Vendor

MAX_RETRIES = 1000  # counted, and then said to be more
MAX_NAMED = 5

register = template.Library()


@dataclass(frozen=True)
class Row:
    vendor: Vendor
    state: SafeString
    counts: list[tuple[str, str]]  # how many jobs, and the status that a list of them has


@register.inclusion_tag("admin/jobs/glance.html", takes_context=True)
def glance(context: dict[str, Any]) -> dict[str, Any]:
    may = context["request"].user.has_perm
    shows = {
        f"shows_{kind}": may(f"{app}.view_{kind}")
        for app, kind in (("jobs", "job"), ("jobs", "callback"))
    }
    # Django lets those see a vendor who may change it.
    links_vendors = may("vendors.view_vendor") or may("vendors.change_vendor")
    if not (links_vendors or any(shows.values())):
        return {}
    vendors = list(catalogue.all().values())
    snapshot, retries = take_snapshot(vendors), _retries_waiting()
    return {
        **shows,
        "links_vendors": links_vendors,
        "problems": _problems(snapshot, retries),
        "rows": [_row(vendor, snapshot, retries) for vendor in vendors[:MAX_VENDORS]]
        if links_vendors or shows["shows_job"]
        else [],
        "unshown": len(vendors[MAX_VENDORS:]),
    }


def _row(vendor: Vendor, snapshot: Snapshot, retries: Counter[str]) -> Row:
    held, more = snapshot.vendors.get(vendor.slug), "+" if retries.total() > MAX_RETRIES else ""
    counts = (
        [
            f"{held.queued + retries[vendor.slug]:,}{more}",
            f"{held.calling:,}",
            f"{held.awaiting_callback:,}",
        ]
        if held
        else ["?"] * 3
    )
    state = shown.standing(
        sentences.vendor_state(vendor, snapshot) + ("" if vendor.enabled else ", disabled")
    )
    return Row(
        vendor,
        state,
        list(zip(counts, (Status.QUEUED, Status.PROCESSING, Status.WAITING), strict=True)),
    )


def _retries_waiting() -> Counter[str]:
    """Return how many jobs of each vendor wait for the time of their next attempt: those have no
    entry in Redis.
    """
    waiting = Job.objects.filter(status=Status.QUEUED, not_before__gt=EPOCH)
    return Counter(waiting.values_list("vendor", flat=True)[: MAX_RETRIES + 1])


def _problems(snapshot: Snapshot, retries: Counter[str]) -> list[str]:
    if not snapshot.redis_answers:
        return [sentences.REDIS_AWAY]
    silent = [worker for worker in snapshot.workers if not worker.is_alive]
    problems = [
        f"Worker {worker.name} has been silent for {worker.silent_seconds:,.0f} s."
        for worker in silent[:MAX_NAMED]
    ]
    if none_alive := no_live_worker_message(snapshot.workers):
        queued = sum(held.queued for held in snapshot.vendors.values()) + retries.total()
        problems.insert(
            0,
            none_alive
            + (f" {queued:,} {'job waits' if queued == 1 else 'jobs wait'}." if queued else ""),
        )
    return problems


@register.simple_tag(takes_context=True)
def page_of(context: dict[str, Any], entry: LogEntry) -> str:
    """Return the address of what an entry of the history is about; empty where the reader may not
    see it.
    """
    if entry.is_deletion() or entry.content_type is None:
        return ""
    app, model = entry.content_type.app_label, entry.content_type.model
    may = context["request"].user.has_perm
    return (
        (entry.get_admin_url() or "")
        if may(f"{app}.view_{model}") or may(f"{app}.change_{model}")
        else ""
    )


@register.simple_tag
def list_of(kind: str, **filters: str) -> str:
    """Return the address of a list of jobs or callbacks with these filters on."""
    chosen = "&".join(f"{name}={value}" for name, value in filters.items())
    return reverse(f"admin:jobs_{kind}_changelist") + f"?{chosen}"
