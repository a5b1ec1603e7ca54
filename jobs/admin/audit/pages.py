"""The pages of the audit trail: a list to filter, and the same as CSV. Nothing can be changed."""

from dataclasses import replace

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit.actions import ACTIONS
from jobs.admin.access import requires
from jobs.admin.audit.choice import Choice
from jobs.admin.audit.export import MAX_ROWS, lines
from jobs.admin.audit.rows import rows
from jobs.console import console

PER_PAGE = 50


@console.page("audit/", "audit")
@require_safe
@requires("audit.view_entry")
def trail(request: HttpRequest) -> HttpResponse:
    choice = Choice.from_query(request.GET.dict())
    found = list(choice.entries()[: PER_PAGE + 1])
    shown, more = found[:PER_PAGE], found[PER_PAGE:]
    context = console.context(
        request,
        title="Audit trail",
        choice=choice,
        rows=rows(request, shown),
        older=choice.as_query(before=shown[-1].pk) if more else "",
        newest=choice.as_query(before="") if choice.before else "",
        csv=replace(choice, before="").as_query(),
        actions=ACTIONS.items(),
        max_rows=MAX_ROWS,
    )
    return render(request, "console/audit.html", context)


@console.page("audit.csv", "audit_csv")
@require_safe
@requires("audit.view_entry")
def file(request: HttpRequest) -> HttpResponse:
    choice = Choice.from_query(request.GET.dict())
    name = f"audit-{timezone.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(
        lines(choice), content_type="text/csv; charset=utf-8", headers=headers
    )  # type: ignore[return-value]  # a response as well
