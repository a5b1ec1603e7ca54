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
from jobs.choice.indexes import unindexed
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
    rows, order, leading = chosen(request.GET.get("q", "").strip(), request.GET)
    may = request.user.has_perm
    context = simple.context_of(request, rows, filters, order, leading)
    context["rows"] = [(row, callback_badge(row)) for row in context["page"].rows]
    context |= {"title": "Callbacks", "links_jobs": may("jobs.view_job")}
    return TemplateResponse(
        request, "console/callbacks/list.html", console.context(request, **context)
    )


Chosen = tuple[QuerySet[Callback], str, QuerySet[Callback] | None]


def chosen(term: str, params: Any) -> Chosen:
    """Return the callbacks that match, the order in which an index has them and, if it has not all
    that is asked, what it finds.
    """
    rows = Callback.objects.defer("body")
    vendor, verdict = params.get("vendor", ""), params.get("verdict", "")
    is_verdict = verdict in dict(VERDICTS)
    stored = {"verdict": "" if verdict == NONE else verdict} if is_verdict else {}
    of_vendor = {"vendor": vendor} if vendor else {}
    if term:
        return _searched(rows.filter(**of_vendor, **stored), term, vendor), "-received_at", None
    leading = simple.created_since(rows.filter(**of_vendor), params.get("created", ""))
    if vendor and stored:
        return unindexed(leading, stored), "-pk", leading
    if not stored:
        return leading, "-pk", None
    # The index of verdicts is in order of arrival, which is also the order of ids.
    bounds = {"gte": _since(params.get("created", "")), "lte": _received(params.get("before", ""))}
    in_time = {f"received_at__{bound}": at for bound, at in bounds.items() if at}
    return rows.filter(**stored, **in_time), "-received_at", None


def _received(before: str) -> datetime | None:
    """Return when the callback came that a page follows: the index begins there."""
    times = Callback.objects.filter(pk=before).values_list("received_at", flat=True)
    return times.first() if before else None


def _since(span: str) -> datetime | None:
    return timezone.now() - CREATED[span] if span in CREATED else None


def _searched(rows: QuerySet[Callback], term: str, vendor: str) -> QuerySet[Callback]:
    if IS_JOB_ID.fullmatch(term):
        return rows.filter(job=term.lower())
    # The index is over vendor and reference, and begins with a vendor. It has few.
    named = rows.filter(vendor_reference=term, vendor_reference__gt="")
    return named if vendor else named.filter(vendor__in=list(catalogue.all()))
