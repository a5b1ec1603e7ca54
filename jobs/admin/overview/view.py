"""The page: all of it comes from one snapshot, and its charts from what was counted."""

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from jobs.admin.history import panel
from jobs.admin.overview.bulk import bulk_rows
from jobs.admin.overview.figures import figures
from jobs.admin.overview.problems import problem_lines
from jobs.admin.overview.vendors import MAX_LISTED, vendor_rows
from jobs.admin.overview.workers import worker_rows
from jobs.console import console
from jobs.monitoring import snapshot
from jobs.monitoring.facts import VendorState

REFRESH_SECONDS = 5
MAX_WORKERS = 30
MAY_SEE = ("vendors.view_vendor", "vendors.change_vendor", "jobs.view_job")


@console.page("", "index")
def overview_view(request: HttpRequest) -> HttpResponse:
    may = request.user.has_perm
    context = console.context(request, title="Overview")
    if not any(may(permission) for permission in MAY_SEE):
        return TemplateResponse(request, "console/nothing.html", context)
    now = snapshot.current()
    listed = [line for line in now.vendors if line.state != VendorState.DISABLED]
    context |= {
        "refresh_seconds": REFRESH_SECONDS,
        "now": now,
        "problems": problem_lines(now, request),
        "figures": figures(now, request),
        "vendors": vendor_rows(listed[:MAX_LISTED], request),
        "unlisted": len(listed[MAX_LISTED:]),
        "disabled": [line for line in now.vendors if line.state == VendorState.DISABLED],
        "may_see_vendors": may("vendors.view_vendor") or may("vendors.change_vendor"),
        "workers": worker_rows(now.workers[:MAX_WORKERS], request),
        "unlisted_workers": now.workers[MAX_WORKERS:],
        "silent_workers": sum(each.state == "silent" for each in now.workers[MAX_WORKERS:]),
        "bulk_actions": bulk_rows(now.bulk_actions, request),
        "history": panel(request),
    }
    return TemplateResponse(request, "console/overview.html", context)
