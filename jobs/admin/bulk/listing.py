"""The list of bulk actions, newest first."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.http import urlencode

from jobs.admin.access import requires
from jobs.admin.bulk import words
from jobs.console import console
from jobs.models import BulkAction

PER_PAGE = 50
REFRESH_SECONDS = 5


@console.page("bulk/", "bulk_actions")
@requires("jobs.view_bulkaction")
def actions_view(request: HttpRequest) -> HttpResponse:
    vendor, before = request.GET.get("vendor", ""), request.GET.get("before", "")
    rows = BulkAction.objects.order_by("-pk")
    if vendor:
        rows = rows.filter(vendor=vendor)
    if before:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: PER_PAGE + 1])
    shown, chosen = found[:PER_PAGE], {"vendor": vendor} if vendor else {}
    context = {
        "title": "Bulk actions",
        "rows": [_row(action) for action in shown],
        "vendor": vendor,
        "newest": f"?{urlencode(chosen)}" if before else "",
        "older": _older(found, chosen),
        "refresh_seconds": REFRESH_SECONDS if any(not it.finished_at for it in shown) else None,
    }
    return TemplateResponse(
        request, "console/bulk/actions.html", console.context(request, **context)
    )


def _older(found: list[BulkAction], chosen: dict[str, str]) -> str:
    if len(found) <= PER_PAGE:
        return ""
    return f"?{urlencode({**chosen, 'before': found[PER_PAGE - 1].pk})}"


def _row(action: BulkAction) -> dict[str, Any]:
    skipped = sum(action.skipped.values())
    word, kind = words.state(action)
    ended_at = action.finished_at
    return {
        "action": action,
        "title": words.title(action),
        "word": word,
        "badge": kind,
        "moved": action.done + skipped,
        "total": max(action.planned, action.done + skipped),
        "skipped": skipped,
        "seconds": (ended_at - action.started_at).total_seconds() if ended_at else None,
    }
