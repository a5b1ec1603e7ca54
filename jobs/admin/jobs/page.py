"""The page of one job: verdict, what can be done, timeline, input and result."""

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse

from audit.models import Entry
from jobs.admin import formats, personal
from jobs.admin.access import require
from jobs.admin.jobs import curl, edit
from jobs.admin.jobs.acts import page_of, possible_acts
from jobs.admin.jobs.events import Event
from jobs.admin.jobs.timeline import failures, longest, timeline
from jobs.admin.jobs.verdict import verdict_on
from jobs.advice import advice_on
from jobs.console import console
from jobs.models import OPEN, Batch, Job
from vendors.catalogue import catalogue

REFRESH_SECONDS = 5
SEEN = "job.personal_data_seen"


def show(request: HttpRequest, job: Job) -> HttpResponse:
    """Answer the page, without personal data."""
    return _page(request, job, is_shown=False)


def show_personal_data(request: HttpRequest, job: Job) -> HttpResponse:
    """POST: answer the page with personal data, which the audit trail records."""
    require(request, "jobs.view_job", personal.PERMISSION)
    if request.method != "POST":
        return HttpResponseRedirect(page_of(job.pk))
    response = _page(request, job, is_shown=True)
    personal.note_seen(request, f"job:{job.pk}", SEEN, response)
    return response


def _page(request: HttpRequest, job: Job, *, is_shown: bool) -> HttpResponse:
    only_errors = request.GET.get("only") == "errors"
    events = _masked(request, job, timeline(job, shows_bodies=is_shown, only_errors=only_errors))
    said = verdict_on(job)
    context = {
        "title": f"Job {job.pk}",
        "job": job,
        "badge": formats.badge(job.status),
        "verdict": replace(said, sentence=personal.without_name(request, job, said.sentence)),
        "acts": possible_acts(request, job),
        "main_act": "edit" if advice_on(job.error_code).retry_helps == "no" else "retry",
        "can_edit": edit.can_be_edited(request, job),
        "events": events,
        "failures": failures(job),
        "longest": longest(events),
        "only_errors": only_errors,
        "name": personal.name_for(request, job.name),
        "may_see": personal.may_see(request),
        "is_shown": is_shown,
        "personal": _personal(job) if is_shown else {},
        "links": _links(request, job),
        # What a person has asked to see is not fetched again: that would hide it.
        "refresh_seconds": REFRESH_SECONDS if job.status in OPEN and not is_shown else None,
    }
    return TemplateResponse(request, "console/jobs/job.html", console.context(request, **context))


def _masked(request: HttpRequest, job: Job, events: list[Event]) -> list[Event]:
    """Return the events without the job's name. The name of earlier runs is not known any more, if
    a person has edited it.
    """
    edited = Entry.objects.filter(target=f"job:{job.pk}", action="job.edited")
    hides_earlier = job.run > 1 and not personal.may_see(request) and edited.exists()
    return [
        replace(event, note="•••••")
        if hides_earlier and 0 < event.run < job.run and event.note
        else replace(event, note=personal.without_name(request, job, event.note))
        for event in events
    ]


def _personal(job: Job) -> dict[str, Any]:
    more = f"GET /jobs/{job.pk} returns all of it."
    return {
        "input": formats.pretty(job.input),
        "result": formats.pretty(job.result, more),
        "metadata": formats.pretty(job.metadata),
        "curl": curl.repeat(job),
    }


def _links(request: HttpRequest, job: Job) -> dict[str, str]:
    """Return the URLs of what the page names, as far as the user may see it."""
    may = request.user.has_perm
    vendor, links = catalogue.get(job.vendor), {}
    # Django shows a vendor to users who may change it, too.
    if vendor and (may("vendors.view_vendor") or may("vendors.change_vendor")):
        links["vendor"] = reverse("admin:vendors_vendor_change", args=[vendor.pk])
    if job.batch and may("jobs.view_batch") and Batch.objects.filter(pk=job.batch).exists():
        links["batch"] = reverse("admin:jobs_batch_change", args=[job.batch])
    if job.bulk and may("jobs.view_bulkaction"):
        links["bulk"] = _reversed("admin:bulk_action", job.bulk)
    if may("audit.view_entry"):
        trail = _reversed("admin:audit")
        links["trail"] = trail and f"{trail}?target=job:{job.pk}"
    return links


def _reversed(name: str, *args: str) -> str:
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""
