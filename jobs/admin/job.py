"""The list of jobs and the page of one."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import sentences, shown
from jobs.admin.confirming import ConfirmingAdmin
from jobs.admin.listing import CreatedFilter, VendorFilter
from jobs.admin.timeline import timeline
from jobs.models import OPEN, Job
from jobs.queue.snapshot import Snapshot, take_snapshot
from vendors.catalogue import catalogue

LAST_CHARACTER = "\U0010ffff"


@admin.register(Job)
class JobAdmin(ConfirmingAdmin):
    list_display = ("id", "badge", "vendor", "name", "age", "attempts", "error_code")
    list_filter = ("status", VendorFilter, CreatedFilter)
    lookups = ("status__exact", "vendor", "created", "id__lt")
    aliases = {"status": "status__exact"}
    large = ("input", "result")
    search_fields = ("id", "name")
    search_help_text = (
        "A whole request id, or the beginning of a name, in upper and lower case as it was posted."
    )
    fieldsets = (
        (None, {"fields": ("state", "error_code", "vendor_link", "name")}),
        ("Input and result", {"fields": ("input_json", "result_json")}),
        (
            "Times and counts",
            {
                "fields": (
                    ("created", "started", "finished"),
                    ("run", "attempt", "failures", "crashes"),
                )
            },
        ),
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
        # As a range, and in the order of the name, so that the index of the name serves on both
        # stores.
        return queryset.filter(name__gte=term, name__lt=term + LAST_CHARACTER).order_by(
            "name"
        ), False

    @admin.display(description="status")
    def badge(self, job: Job) -> SafeString:
        return shown.badge(job.status)

    @admin.display
    def age(self, job: Job) -> SafeString:
        return shown.age(job.created_at, timezone.now())

    @admin.display
    def attempts(self, job: Job) -> int:
        return job.attempt

    # The page

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        if request.user.has_perm("vendors.view_vendor") or request.user.has_perm(
            "vendors.change_vendor"
        ):
            return self.fieldsets
        # No link that would end in a 403.
        (_, first), *rest = self.fieldsets
        fields = ["vendor" if field == "vendor_link" else field for field in first["fields"]]
        return [(None, {"fields": fields}), *rest]

    @admin.display
    def state(self, job: Job) -> SafeString:
        vendor = catalogue.get(job.vendor)
        # What has ended waits for nothing, not even for Redis.
        snapshot = (
            take_snapshot([vendor] if vendor else [])
            if job.status in OPEN
            else Snapshot(timezone.now())
        )
        return format_html(
            "{} {}", shown.badge(job.status), sentences.job_state(job, vendor, snapshot)
        )

    @admin.display(description="vendor")
    def vendor_link(self, job: Job) -> str:
        vendor = catalogue.get(job.vendor)
        if vendor is None:
            return job.vendor
        return format_html(
            '<a href="{}">{}</a>',
            reverse("admin:vendors_vendor_change", args=[vendor.pk]),
            vendor.slug,
        )

    @admin.display(description="result")
    def result_json(self, job: Job) -> str:
        return shown.pretty(job.result, f"GET /jobs/{job.pk} has all of it.")

    @admin.display(description="input")
    def input_json(self, job: Job) -> str:
        return shown.pretty(job.input)

    @admin.display
    def created(self, job: Job) -> str:
        return shown.moment(job.created_at)

    @admin.display(description="last started")
    def started(self, job: Job) -> str:
        return shown.moment(job.started_at)

    @admin.display
    def finished(self, job: Job) -> str:
        return shown.moment(job.finished_at)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        job = kwargs["obj"]
        may = request.user.has_perm
        # What a vendor answers may tell of people: for those who act on failures.
        events = timeline(
            job, shows_bodies=may("jobs.retry_job"), links_callbacks=may("jobs.view_callback")
        )
        context |= {"buttons": self.buttons(request, job), "timeline": events}
        return super().render_change_form(request, context, *args, **kwargs)


def _as_id(term: str) -> str:
    """Return the request id that the term spells in one way or another; empty where it spells none."""
    try:
        return str(UUID(term))
    except ValueError:
        return ""
