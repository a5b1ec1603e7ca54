"""The list of jobs and the page of one job."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import formats, states
from jobs.admin.job_actions import JobActionsAdmin
from jobs.admin.listing import ClientFilter, CreatedFilter, VendorFilter
from jobs.admin.search import search
from jobs.admin.timeline import timeline
from jobs.models import OPEN, Job
from jobs.queue.snapshot import Snapshot, take_snapshot
from vendors.catalogue import catalogue

TIMES = (("created", "started", "finished"), ("starts", "expires"))
COUNTERS = ("run", "attempt", "failures", "crashes")
OF_CLIENT = (("client", "shown_reference"), "shown_key", "metadata_json")


@admin.register(Job)
class JobAdmin(JobActionsAdmin):
    list_display = (
        "id",
        "badge",
        "client",
        "vendor",
        "shown_name",
        "age",
        "attempts",
        "error_code",
    )
    list_filter = ("status", ClientFilter, VendorFilter, CreatedFilter)
    lookups = ("status__exact", "client", "vendor", "created", "id__lt")
    aliases = {"status": "status__exact"}
    large = ("input", "result", "metadata")
    search_fields = ("id", "reference", "name")
    search_help_text = (
        "A full request id or reference, or the beginning of a name (case-sensitive)."
    )
    fieldsets = (
        (None, {"fields": ("state", "error_code", "vendor_link", "shown_name")}),
        ("Client", {"fields": OF_CLIENT}),
        ("Input and result", {"fields": ("input_json", "result_json")}),
        ("Times and counters", {"fields": (*TIMES, COUNTERS)}),
    )

    # The list

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        term = search_term.strip()
        return (search(queryset, term) if term else queryset), False

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

    @admin.display(description="reference")
    def shown_reference(self, job: Job) -> str:
        return job.reference or "-"

    @admin.display(description="Idempotency-Key")
    def shown_key(self, job: Job) -> str:
        return job.idempotency_key or "-"

    @admin.display(description="metadata")
    def metadata_json(self, job: Job) -> str:
        return formats.pretty(job.metadata)

    @admin.display(description="not before")
    def starts(self, job: Job) -> str:
        return formats.moment(job.not_before)

    @admin.display(description="expires at")
    def expires(self, job: Job) -> str:
        return formats.moment(job.expires_at)

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
