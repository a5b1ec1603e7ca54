"""The list of jobs and the page of one job."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import formats, states
from jobs.admin.job_actions import JobActionsAdmin
from jobs.admin.listing import CreatedFilter, VendorFilter
from jobs.admin.timeline import timeline
from jobs.models import OPEN, Job
from jobs.queue.snapshot import Snapshot, take_snapshot
from vendors.catalogue import catalogue

LAST_CHARACTER = "\U0010ffff"
TIMES, COUNTERS = ("created", "started", "finished"), ("run", "attempt", "failures", "crashes")


@admin.register(Job)
class JobAdmin(JobActionsAdmin):
    list_display = ("id", "badge", "vendor", "shown_name", "age", "attempts", "error_code")
    list_filter = ("status", VendorFilter, CreatedFilter)
    lookups = ("status__exact", "vendor", "created", "id__lt")
    aliases = {"status": "status__exact"}
    large = ("input", "result")
    search_fields = ("id", "name")
    search_help_text = "A full request id, or the beginning of a name (case-sensitive)."
    fieldsets = (
        (None, {"fields": ("state", "error_code", "vendor_link", "shown_name")}),
        ("Input and result", {"fields": ("input_json", "result_json")}),
        ("Times and counters", {"fields": (TIMES, COUNTERS)}),
    )

    # The list

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if job_id := _as_id(term):
            return queryset.filter(pk=job_id), False
        # A range in the order of the name, which both stores read from its index.
        named = queryset.filter(name__gte=term, name__lt=term + LAST_CHARACTER)
        return named.order_by("name"), False

    @admin.display(description="status")
    def badge(self, job: Job) -> SafeString:
        return formats.badge(job.status)

    @admin.display(description="name")
    def shown_name(self, job: Job) -> str:
        return job.name or "-"

    @admin.display
    def age(self, job: Job) -> SafeString:
        return formats.age(job.created_at, timezone.now())

    @admin.display
    def attempts(self, job: Job) -> int:
        return job.attempt

    # The page

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        may = request.user.has_perm
        if may("vendors.view_vendor") or may("vendors.change_vendor"):
            return self.fieldsets
        # Without the permission, a link would lead to a 403.
        (_, first), *rest = self.fieldsets
        fields = ["vendor" if field == "vendor_link" else field for field in first["fields"]]
        return [(None, {"fields": fields}), *rest]

    @admin.display
    def state(self, job: Job) -> SafeString:
        vendor = catalogue.get(job.vendor)
        if job.status in OPEN:
            snapshot = take_snapshot([vendor] if vendor else [])
        else:
            snapshot = Snapshot(timezone.now())  # a final job does not depend on Redis
        sentence = states.job_state(job, vendor, snapshot)
        return format_html("{} {}", formats.badge(job.status), sentence)

    @admin.display(description="vendor")
    def vendor_link(self, job: Job) -> str:
        vendor = catalogue.get(job.vendor)
        if vendor is None:
            return job.vendor
        url = reverse("admin:vendors_vendor_change", args=[vendor.pk])
        return format_html('<a href="{}">{}</a>', url, vendor.slug)

    @admin.display(description="result")
    def result_json(self, job: Job) -> str:
        return formats.pretty(job.result, f"GET /jobs/{job.pk} returns all of it.")

    @admin.display(description="input")
    def input_json(self, job: Job) -> str:
        return formats.pretty(job.input)

    @admin.display
    def created(self, job: Job) -> str:
        return formats.moment(job.created_at)

    @admin.display(description="last started")
    def started(self, job: Job) -> str:
        return formats.moment(job.started_at)

    @admin.display
    def finished(self, job: Job) -> str:
        return formats.moment(job.finished_at)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        job = kwargs["obj"]
        may = request.user.has_perm
        # A vendor's reply may hold personal data: its body is for those who act on failures.
        events = timeline(
            job, shows_bodies=may("jobs.retry_job"), links_callbacks=may("jobs.view_callback")
        )
        context |= {"buttons": self.buttons(request, job), "timeline": events}
        return super().render_change_form(request, context, *args, **kwargs)


def _as_id(term: str) -> str:
    """Return the request id that the term is a spelling of; '' if it is none."""
    try:
        return str(UUID(term))
    except ValueError:
        return ""
