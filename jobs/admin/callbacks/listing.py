"""The list of callbacks."""

import re
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from jobs.admin.jobs.events import callback_badge
from jobs.admin.lists import simple
from jobs.admin.lists.fields import CREATED, CREATED_OPTIONS, Field, Filters, vendor_field
from jobs.console import console
from jobs.models import Callback, Verdict
from vendors.catalogue import catalogue

IS_JOB_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
NONE = "none"  # in URLs, the verdict of a callback that is not applied yet
VERDICTS = [(NONE, "not yet applied"), *((it.value, it.value) for it in Verdict)]


def filters_of(request: HttpRequest) -> Filters:
    return Filters(
        request.GET,
        [
            Field("q", "Search", "search", hint="Id of a job, or vendor's reference"),
            Field("verdict", "Verdict", options=VERDICTS),
            vendor_field(),
            Field("created", "Received", options=CREATED_OPTIONS),
        ],
    )


def changelist(request: HttpRequest) -> HttpResponse:
    filters = filters_of(request)
    rows, order = chosen(request.GET.get("q", "").strip(), request.GET)
    may = request.user.has_perm
    context = simple.context_of(request, rows, filters, order)
    context["rows"] = [(row, callback_badge(row)) for row in context["page"].rows]
    context |= {"title": "Callbacks", "links_jobs": may("jobs.view_job")}
    return TemplateResponse(
        request, "console/callbacks/list.html", console.context(request, **context)
    )


def chosen(term: str, params: Any) -> tuple[QuerySet[Callback], str]:
    """Return the callbacks that match, and the order in which an index has them."""
    rows = Callback.objects.defer("body")
    if vendor := params.get("vendor"):
        rows = rows.filter(vendor=vendor)
    verdict, since = params.get("verdict", ""), _since(params.get("created", ""))
    if verdict in dict(VERDICTS):
        rows = rows.filter(verdict="" if verdict == NONE else verdict)
    if term:
        return _searched(rows, term, vendor or ""), "-received_at"
    if verdict in dict(VERDICTS):
        # The index of verdicts is in order of arrival, which is also the order of ids.
        return rows.filter(received_at__gte=since) if since else rows, "-received_at"
    return simple.created_since(rows, params.get("created", "")), "-pk"


def _since(span: str) -> datetime | None:
    return timezone.now() - CREATED[span] if span in CREATED else None


def _searched(rows: QuerySet[Callback], term: str, vendor: str) -> QuerySet[Callback]:
    if IS_JOB_ID.fullmatch(term):
        return rows.filter(job=term.lower())
    # The index is over vendor and reference, and begins with a vendor. It has few.
    named = rows.filter(vendor_reference=term, vendor_reference__gt="")
    return named if vendor else named.filter(vendor__in=list(catalogue.all()))
