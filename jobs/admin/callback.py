"""The list of callbacks and the page of one callback."""

import re
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import formats, timeline
from jobs.admin.listing import Listing, ReadOnlyAdmin, VendorFilter
from jobs.models import Callback, Verdict
from vendors.catalogue import catalogue

IS_JOB_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class CallbackListing(Listing):
    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        # The index of verdicts is in order of arrival, which is also the order of ids.
        return ["-received_at"] if "verdict" in self.params else ["-id"]


class VerdictFilter(admin.SimpleListFilter):
    title = parameter_name = "verdict"
    stored = {"none": "", **{verdict.value: verdict.value for verdict in Verdict}}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        verdicts = [(verdict.value, verdict.label) for verdict in Verdict]
        return [("none", "Not yet applied"), *verdicts]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Callback]) -> QuerySet[Callback]:
        chosen = self.value()
        return queryset.filter(verdict=self.stored[chosen]) if chosen in self.stored else queryset


@admin.register(Callback)
class CallbackAdmin(ReadOnlyAdmin):
    list_display = ("received", "badge", "vendor", "job_link", "attempt", "size", "times_received")
    list_filter = (VerdictFilter, VendorFilter)
    lookups = ("verdict", "vendor", "id__lt")
    large = ("body",)
    search_fields = ("job", "vendor_reference")
    search_help_text = "The full request id of a job, or the reference in a callback."
    fields = (
        "received",
        "badge",
        "reason",
        "vendor",
        "job_link",
        "shown_reference",
        ("run", "attempt"),
        ("times_received", "size"),
        "body_json",
    )

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return _linked(request, self.list_display)

    def get_fields(self, request: HttpRequest, obj: Callback | None = None) -> list[Any]:
        return _linked(request, self.fields)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CallbackListing

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Callback], search_term: str
    ) -> tuple[QuerySet[Callback], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if IS_JOB_ID.fullmatch(term):
            return queryset.filter(job=term.lower()).order_by("-received_at"), False
        # The index is over vendor and reference, and begins with a vendor. It has few.
        vendors = list(catalogue.all())
        named = {"vendor_reference": term, "vendor_reference__gt": ""}
        return queryset.filter(vendor__in=vendors, **named).order_by("-received_at"), False

    @admin.display
    def received(self, callback: Callback) -> str:
        return formats.moment(callback.received_at)

    @admin.display(description="verdict")
    def badge(self, callback: Callback) -> SafeString:
        return timeline.verdict(callback)

    @admin.display(description="job")
    def job_link(self, callback: Callback) -> str:
        if callback.verdict == Verdict.UNMATCHED or not callback.job:
            return callback.job or "-"
        url = reverse("admin:jobs_job_change", args=[callback.job])
        return format_html('<a href="{}">{}</a>', url, callback.job)

    @admin.display(description="vendor's reference")
    def shown_reference(self, callback: Callback) -> str:
        return callback.vendor_reference or "-"

    @admin.display
    def size(self, callback: Callback) -> str:
        return formats.counted(callback.body_bytes, "byte")

    @admin.display(description="body")
    def body_json(self, callback: Callback) -> str:
        return formats.pretty(callback.body)


def _linked(request: HttpRequest, names: Iterable[Any]) -> list[Any]:
    """Return the names, with a link to the job if the user may view jobs."""
    job = "job_link" if request.user.has_perm("jobs.view_job") else "job"
    return [job if name == "job_link" else name for name in names]
