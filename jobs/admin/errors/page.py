"""The page about errors: what fails, since when, what it means, and the button that helps."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from jobs.admin.access import requires
from jobs.admin.charts import sparkline
from jobs.admin.errors.groups import STEPS, Group, errors
from jobs.console import console
from vendors.catalogue import catalogue

DEFAULT_HOURS = 1
REFRESH_SECONDS = 15


@console.page("errors/", "errors")
@requires("jobs.view_job")
def errors_view(request: HttpRequest) -> HttpResponse:
    """`hours`: 1 or 24. `vendor`: only this one."""
    chosen, vendor = request.GET.get("hours", ""), request.GET.get("vendor", "")
    hours = int(chosen) if chosen in map(str, STEPS) else DEFAULT_HOURS
    found = errors(hours, timezone.now(), vendor)
    context = {
        "title": "Errors",
        "hours": hours,
        "choices": list(STEPS),
        "vendor": vendor,
        "errors": found,
        "rows": rows(request, found.groups),
        "refresh_seconds": REFRESH_SECONDS,
    }
    return TemplateResponse(request, "console/errors.html", console.context(request, **context))


def rows(request: HttpRequest, groups: list[Group]) -> list[dict[str, Any]]:
    """Return the groups with what a template shows of them. Links that the user may not follow are
    left out.
    """
    may = request.user.has_perm
    opens_vendors = may("vendors.view_vendor") or may("vendors.change_vendor")
    pks = {slug: row.pk for slug, row in catalogue.all().items()} if opens_vendors else {}
    plan = plan_url() if may("jobs.run_bulkaction") and may("jobs.retry_job") else ""
    opens_jobs = may("jobs.view_job")
    return [
        {
            "group": group,
            "sparkline": sparkline(group.numbers, _label(group), "error"),
            "vendor_pk": pks.get(group.vendor, ""),
            "jobs_url": _list(group) if opens_jobs and group.jobs else "",
            "plan_url": f"{plan}?kind=retry&{group.query}"
            if plan and group.jobs and group.may_retry
            else "",
        }
        for group in groups
    ]


def plan_url() -> str:
    """Return the URL of the page that plans a bulk action; '' if this process has none."""
    try:
        return reverse("admin:bulk_plan")
    except NoReverseMatch:
        return ""


def _list(group: Group) -> str:
    return f"{reverse('admin:jobs_job_changelist')}?{group.query}"


def _label(group: Group) -> str:
    what = "Failed jobs" if group.jobs else "Failed calls"
    return f"{what} of {group.vendor} with {group.code}, oldest first: {_words(group.numbers)}"


def _words(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
