"""The list of jobs and the page of one job."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import formats, states
from jobs.admin.job_actions import JobActionsAdmin
from jobs.admin.listing import ClientFilter, CreatedFilter, Listing, VendorFilter
from jobs.admin.timeline import timeline
from jobs.choice import search
from jobs.models import OPEN, Batch, Job, Status
from jobs.queue.clock import redis_clock
from jobs.queue.held.hold import hold_of_job
from jobs.queue.held.recent import recent_holds
from jobs.queue.snapshot import Snapshot, take_snapshot
from vendors.catalogue import catalogue

TIMES = (("created", "started", "finished"), ("starts", "expires"))
COUNTERS = ("run", "attempt", "failures", "crashes")
# Rows that stand on the page only if their column has a value.
IF_SET = {
    "error_code": "error_code",
    "shown_name": "name",
    "outcome": "outcome",
    "vendor_reference": "vendor_reference",
    "next_poll": "next_poll_at",
}
OF_CLIENT = (("client", "shown_reference"), "shown_key", "metadata_json")


class JobListing(Listing):
    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        # The index of a batch is in order of its items.
        return ["-batch_index"] if "batch" in self.params else ["-id"]

    def before(self, row: Any) -> dict[str, Any]:
        if "batch" in self.params:
            return {"batch_index__lt": row.batch_index}
        return super().before(row)


class BatchFilter(admin.SimpleListFilter):
    """Offers no batches, but shows and removes the one that a link has chosen."""

    title = parameter_name = "batch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(batch_id, batch_id)] if (batch_id := self.value()) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        # The condition of the index of batches is repeated (Job.of_batch).
        return queryset.filter(batch=self.value(), batch__gt="") if self.value() else queryset


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
    list_filter = ("status", BatchFilter, ClientFilter, VendorFilter, CreatedFilter)
    lookups = (
        *("status__exact", "client", "vendor", "created", "batch"),
        *("id__lt", "batch_index__lt"),
    )
    aliases = {"status": "status__exact"}
    large = ("input", "result", "metadata")
    search_fields = ("id", "reference", "name")
    search_help_text = (
        "A full request id or reference, or the beginning of a name (case-sensitive)."
    )
    fieldsets = (
        ("Client", {"fields": OF_CLIENT}),
        ("Input and result", {"fields": ("input_json", "result_json")}),
        ("Times and counters", {"fields": (*TIMES, COUNTERS)}),
    )

    # The list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobListing

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        term = search_term.strip()
        return (search(queryset, term) if term else queryset), False

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist = super().get_changelist_instance(request)
        jobs: list[Any] = list(changelist.result_list)
        queued = [job for job in jobs if job.status == Status.QUEUED]
        of_vendors, now = recent_holds.of({job.vendor for job in queued}), redis_clock.now()
        for job in queued:
            job.hold = hold_of_job(job.not_before, of_vendors.get(job.vendor), now)
        changelist.result_list = jobs
        return changelist

    @admin.display(description="status")
    def badge(self, job: Job) -> SafeString:
        badge, hold = formats.badge(job.status), getattr(job, "hold", None)
        held = '{} <span class="hold">{}</span>'
        return format_html(held, badge, hold.message) if hold else badge

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
        # Without the permission, a link would lead to a 403.
        links_vendor = may("vendors.view_vendor") or may("vendors.change_vendor")
        vendor = "vendor_link" if links_vendor else "vendor"
        shown = (name for name, column in IF_SET.items() if obj and getattr(obj, column))
        first: list[Any] = ["state", vendor, *shown]
        if obj and obj.batch:
            batch = "batch_link" if may("jobs.view_batch") else "batch"
            first.append((batch, "batch_index"))
        return [(None, {"fields": first}), *self.fieldsets]

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

    @admin.display
    def next_poll(self, job: Job) -> str:
        return formats.moment(job.next_poll_at)

    @admin.display(description="result")
    def result_json(self, job: Job) -> str:
        return formats.pretty(job.result, f"GET /jobs/{job.pk} returns all of it.")

    @admin.display(description="input")
    def input_json(self, job: Job) -> str:
        return formats.pretty(job.input)

    @admin.display(description="reference")
    def shown_reference(self, job: Job) -> str:
        return job.reference or "-"

    @admin.display(description="batch")
    def batch_link(self, job: Job) -> str:
        if not Batch.objects.filter(pk=job.batch).exists():  # it has been pruned
            return job.batch
        url = reverse("admin:jobs_batch_change", args=[job.batch])
        return format_html('<a href="{}">{}</a>', url, job.batch)

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
