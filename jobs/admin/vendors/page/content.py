"""What the page of a vendor shows above its settings."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from audit.models import Entry
from jobs.admin import history, personal
from jobs.admin.clients.acts import shown
from jobs.admin.errors.groups import errors
from jobs.admin.errors.page import rows as error_rows
from jobs.admin.overview.figures import Figure
from jobs.admin.overview.links import Act, act, jobs_url, url
from jobs.admin.page.texts import number, share, span
from jobs.admin.vendors import usage
from jobs.admin.vendors.page.verdict import NOTED_SHARE, verdict
from jobs.choice import Choice
from jobs.models import Job, Status
from jobs.monitoring import snapshot
from jobs.monitoring.facts import ServiceSnapshot, VendorLine, VendorState
from jobs.queue.clock import redis_clock
from jobs.recovery.unusable_pauses import has_our_pause
from vendors.catalogue import catalogue
from vendors.loading.trail import target_of
from vendors.models import Vendor

REFRESH_SECONDS = 5
FEW_SAMPLES = 20
MAX_FAILED = 10
MAX_ENTRIES = 5
ERROR_HOURS = 24
PAUSE_FIELDS = ("paused", "paused_until", "pause_reason", "paused_by", "enabled")


def content(request: HttpRequest, vendor: Vendor) -> dict[str, Any]:
    """Return the context of the page. `vendor`: as the store has it now."""
    now = current([vendor])
    line, may = now.vendor(vendor.slug), request.user.has_perm
    found = errors(ERROR_HOURS, timezone.now(), vendor.slug)
    shows_jobs = may("jobs.view_job")
    return {
        "refresh_seconds": REFRESH_SECONDS,
        "line": line,
        "verdict": verdict(vendor, line, now.redis, is_ours=has_our_pause(vendor)),
        "figures": list(_figures(request, vendor, line)),
        "acts": list(_acts(request, vendor, line)),
        "usage": usage.of_vendor(vendor, has_links=may("vendors.view_limit")),
        "errors_by_code": found,
        "error_rows": error_rows(request, found.groups),
        "history": history.panel(request, vendor.slug),
        "shows_jobs": shows_jobs,
        "failed": list(_failed(request, vendor)) if shows_jobs else [],
        "failed_url": jobs_url(request, vendor=vendor.slug, status=Status.FAILED),
        "entries": _entries(vendor),
        "trail_url": _trail_url(request, vendor),
    }


def current(vendors: Iterable[Vendor]) -> ServiceSnapshot:
    """Return the snapshot, a new one if this one does not know yet what an operator has done.
    `vendors`: as the store has them now.
    """
    now = snapshot.current()
    if all(_is_known(vendor, now) for vendor in vendors):
        return now
    forget()
    return snapshot.current()


def _is_known(vendor: Vendor, now: ServiceSnapshot) -> bool:
    line = now.vendor(vendor.slug)
    known = line.vendor if line else None
    return all(getattr(known, name, None) == getattr(vendor, name) for name in PAUSE_FIELDS)


def forget() -> None:
    """Have the next page of this process show what has just been done."""
    catalogue.forget()
    snapshot.monitor.forget()


def _acts(request: HttpRequest, vendor: Vendor, line: VendorLine | None) -> Iterator[Act]:
    slug = vendor.slug
    if vendor.is_paused(redis_clock.now()) and not has_our_pause(vendor):  # which ends by itself
        yield from act(request, "Resume", url("vendor_resume", slug), "vendors.pause_vendor")
    if not vendor.paused or vendor.only_calls_are_paused:
        yield from act(request, "Pause", url("vendor_pause", slug), "vendors.pause_vendor")
    if line and line.state in (VendorState.DOWN, VendorState.PROBING):
        close = url("vendor_close_breaker", slug)
        yield from act(request, "Close breaker", close, "vendors.close_breaker")
    yield from act(request, "Try it", url("vendor_try", slug), "vendors.try_vendor")
    limits = url("vendor_limits", slug)
    yield from act(request, "Change limits", limits, "vendors.change_vendor_limits")
    yield from act(request, "See jobs", jobs_url(request, vendor=slug), "jobs.view_job")


def _figures(request: HttpRequest, vendor: Vendor, line: VendorLine | None) -> Iterator[Figure]:
    line = line or VendorLine(vendor, vendor.slug, VendorState.RUNNING, "")
    slug = vendor.slug
    oldest = f"oldest {span(line.oldest_seconds)}" if line.oldest_seconds else ""
    queued = jobs_url(request, vendor=slug, status=Status.QUEUED)
    yield Figure("Waiting", number(line.waiting), oldest, queued)
    cap = f"of at most {line.max_in_flight:,}" if line.max_in_flight else "without a cap"
    processing = jobs_url(request, vendor=slug, status=Status.PROCESSING)
    yield Figure("In flight", number(line.in_flight), cap, processing)
    yield Figure("Done per minute", _rate(line.done_per_minute), "over 5 minutes")
    part = line.errors_5min / line.calls_5min if line.calls_5min else None
    calls = f"{share(part)} of {line.calls_5min:,} calls" if part is not None else "no calls"
    is_high = part is not None and part > NOTED_SHARE
    of_vendor = url("errors", vendor=slug) if request.user.has_perm("jobs.view_job") else ""
    errors_5min, kind = number(line.errors_5min), "warning" if is_high else ""
    yield Figure("Errors, 5 min", errors_5min, calls, of_vendor, kind)
    few = " only" if line.samples < FEW_SAMPLES else ""
    samples = f"p95 {span(line.p95_seconds)}, of {line.samples:,} calls{few}"
    yield Figure("Call p50", span(line.p50_seconds), samples if line.samples else "no calls")
    bound = f"bound by {line.done_in_bound}" if line.waiting and line.done_in_bound else ""
    backlog = span(line.done_in_seconds) if line.waiting else "none"
    yield Figure("Backlog done in", backlog, bound)


def _rate(per_minute: float) -> str:
    return f"{per_minute:.1f}" if 0 < per_minute < 10 else str(number(per_minute))


def _failed(request: HttpRequest, vendor: Vendor) -> Iterator[dict[str, Any]]:
    """Yield the newest jobs that failed, by when they were accepted."""
    chosen = Choice(vendor=vendor.slug, status=Status.FAILED)
    for job in chosen.jobs().order_by("-id")[:MAX_FAILED]:
        yield {"job": job, "message": _message(request, job)}


def _message(request: HttpRequest, job: Job) -> str:
    """Return why the job failed. An adapter's message should not hold its name, but may."""
    is_hidden = bool(job.name) and not personal.may_see(request)
    return job.error_message.replace(job.name, "•••••") if is_hidden else job.error_message


def _entries(vendor: Vendor) -> list[dict[str, Any]]:
    """Return what people did last to the vendor."""
    found = Entry.objects.filter(target=target_of(vendor)).order_by("-id")[:MAX_ENTRIES]
    return [{"entry": entry, "changes": shown(entry.changes)} for entry in found]


def _trail_url(request: HttpRequest, vendor: Vendor) -> str:
    target = url("audit", target=target_of(vendor))
    if target and request.user.has_perm("audit.view_entry"):
        return target
    return url("vendors_vendor_history", vendor.pk)
