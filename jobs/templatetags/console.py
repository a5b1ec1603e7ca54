"""The console's front page: what is wrong, and the state and jobs of each vendor."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from clients.directory import directory
from jobs.admin import formats, states
from jobs.admin.page import navigation, reader, texts
from jobs.models import EPOCH, Job, Status
from jobs.queue.heartbeat import no_live_worker_message
from jobs.queue.snapshot import MAX_VENDORS, Snapshot, take_snapshot
from vendors.catalogue import catalogue
from vendors.models import Vendor

MAX_RETRIES = 1000  # counted up to this number
MAX_NAMED = 5
COUNTED = (Status.QUEUED, Status.PROCESSING, Status.WAITING)

register = template.Library()


@dataclass(frozen=True)
class Row:
    vendor: Vendor
    state: SafeString
    counts: list[tuple[str, str]]  # number of jobs, and the status that lists them


@register.inclusion_tag("admin/jobs/glance.html", takes_context=True)
def glance(context: dict[str, Any]) -> dict[str, Any]:
    may = context["request"].user.has_perm
    shows_job, shows_callback = may("jobs.view_job"), may("jobs.view_callback")
    # Django shows a vendor to users who may change it, too.
    links_vendors = may("vendors.view_vendor") or may("vendors.change_vendor")
    if not (links_vendors or shows_job or shows_callback):
        return {}
    vendors = list(catalogue.all().values())
    snapshot, retries = take_snapshot(vendors), _waiting_retries()
    listed = vendors[:MAX_VENDORS] if links_vendors or shows_job else []
    return {
        "shows_job": shows_job,
        "shows_callback": shows_callback,
        "links_vendors": links_vendors,
        "problems": _problems(snapshot, retries),
        "rows": [_row(vendor, snapshot, retries) for vendor in listed],
        "unshown": len(vendors[MAX_VENDORS:]),
    }


def _row(vendor: Vendor, snapshot: Snapshot, retries: Counter[str]) -> Row:
    held, more = snapshot.vendors.get(vendor.slug), "+" if retries.total() > MAX_RETRIES else ""
    counts = ["?"] * 3
    if held:
        queued = held.queued + retries[vendor.slug]
        counts = [f"{queued:,}{more}", f"{held.calling:,}", f"{held.waiting:,}"]
    state = states.vendor_state(vendor, snapshot) + ("" if vendor.enabled else ", disabled")
    return Row(vendor, formats.vendor_state(state), list(zip(counts, COUNTED, strict=True)))


def _waiting_retries() -> Counter[str]:
    """Return how many jobs of each vendor wait for their next attempt. They have no entry yet."""
    waiting = Job.objects.filter(status=Status.QUEUED, not_before__gt=EPOCH)
    return Counter(waiting.values_list("vendor", flat=True)[: MAX_RETRIES + 1])


def _problems(snapshot: Snapshot, retries: Counter[str]) -> list[str]:
    if not snapshot.redis_answers:
        return [states.NO_REDIS]
    problems = []
    if no_worker := no_live_worker_message(snapshot.workers):
        queued = sum(held.queued for held in snapshot.vendors.values()) + retries.total()
        waits = "waits" if queued == 1 else "wait"
        jobs = f" {formats.counted(queued, 'job')} {waits}." if queued else ""
        problems.append(no_worker + jobs)
    silent = [worker for worker in snapshot.workers if not worker.is_alive]
    for worker in silent[:MAX_NAMED]:
        problems.append(f"Worker {worker.name} has been silent for {worker.silent_seconds:,.0f} s.")
    return problems


@register.simple_tag(takes_context=True)
def page_of(context: dict[str, Any], entry: LogEntry) -> str:
    """Return the URL of the object of a history entry; '' if the user may not view it."""
    if entry.is_deletion() or entry.content_type is None:
        return ""
    app, model = entry.content_type.app_label, entry.content_type.model
    may = context["request"].user.has_perm
    if not (may(f"{app}.view_{model}") or may(f"{app}.change_{model}")):
        return ""
    return entry.get_admin_url() or ""


@register.simple_tag
def is_open() -> bool:
    """Whether requests without an API key are accepted."""
    return settings.ALLOW_ANONYMOUS and directory.anonymous() is not None


@register.simple_tag
def list_of(kind: str, **filters: str) -> str:
    """Return the URL of a list of jobs or callbacks with these filters."""
    chosen = "&".join(f"{name}={value}" for name, value in filters.items())
    return reverse(f"admin:jobs_{kind}_changelist") + f"?{chosen}"


register.filter("number", texts.number)
register.filter("span", texts.span)
register.filter("share", texts.share)
register.simple_tag(texts.ago, name="ago")
register.simple_tag(texts.bar, name="bar")
register.simple_tag(formats.badge, name="badge")


@register.simple_tag(takes_context=True)
def moment(context: dict[str, Any], at: datetime | None, style: str = "") -> SafeString:
    return texts.moment(at, reader.zone(_cookies(context)), style)


@register.simple_tag(takes_context=True)
def theme(context: dict[str, Any]) -> str:
    """Return the colours that the reader chose: auto, light or dark."""
    return reader.theme(_cookies(context))


@register.simple_tag(takes_context=True)
def zone_name(context: dict[str, Any]) -> str:
    return reader.zone_name(reader.zone(_cookies(context)), timezone.now())


@register.inclusion_tag("console/navigation.html", takes_context=True)
def navigation_links(context: dict[str, Any]) -> dict[str, Any]:
    request = context["request"]
    return {"items": navigation.items(request.user, request.path)}


def _cookies(context: dict[str, Any]) -> Mapping[str, str]:
    request = context.get("request")
    return request.COOKIES if request else {}
