"""The list of batches and the page of one batch."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import formats
from jobs.admin.listing import ClientFilter, CreatedFilter, ReadOnlyAdmin
from jobs.choice import search_batches
from jobs.models import Batch, Job, RefusedItem, State, Status

BADGE_KINDS = {State.RECEIVING: "waiting", State.RUNNING: "processing", State.FINISHED: "queued"}
MAX_REFUSED = 100
CUT_SHORT = "Nobody continued its upload for 24 hours, so it may lack items."


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ("id", "badge", "client", "shown_reference", "created", "sealed", "finished")
    list_filter = ("state", ClientFilter, CreatedFilter)
    lookups = ("state__exact", "client", "created", "id__lt")
    aliases = {"state": "state__exact"}
    search_fields = ("id", "reference")
    search_help_text = "A full batch id or reference."
    fields = (
        "shown_state",
        ("client", "shown_reference"),
        "shown_key",
        ("created", "received"),
        ("sealed", "finished"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Batch], search_term: str
    ) -> tuple[QuerySet[Batch], bool]:
        term = search_term.strip()
        return (search_batches(queryset, term) if term else queryset), False

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        batch_id = kwargs["obj"].pk
        refused = RefusedItem.of_batch(batch_id)
        context |= {
            "counts": _counts(batch_id),
            "refused": refused.order_by("pk")[:MAX_REFUSED],
            "refused_count": refused.count(),
            "shows_job": request.user.has_perm("jobs.view_job"),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="state")
    def badge(self, batch: Batch) -> SafeString:
        return formats.badge(batch.state, BADGE_KINDS[State(batch.state)])

    @admin.display(description="state")
    def shown_state(self, batch: Batch) -> SafeString:
        notes = [CUT_SHORT] if batch.cut_short else []
        if batch.state == State.RECEIVING:
            notes.append("More items may come.")
        elif batch.state == State.RUNNING and batch.cancel_requested_at:
            notes.append("Its jobs are being cancelled.")
        elif batch.state == State.RUNNING and batch.retry_requested_at:
            notes.append("Its failed jobs are being retried.")
        return format_html("{} {}", self.badge(batch), " ".join(notes))

    @admin.display(description="reference")
    def shown_reference(self, batch: Batch) -> str:
        return batch.reference or "-"

    @admin.display(description="Idempotency-Key")
    def shown_key(self, batch: Batch) -> str:
        return batch.idempotency_key or "-"

    @admin.display
    def created(self, batch: Batch) -> str:
        return formats.moment(batch.created_at)

    @admin.display(description="last items")
    def received(self, batch: Batch) -> str:
        return formats.moment(batch.received_at)

    @admin.display
    def sealed(self, batch: Batch) -> str:
        return formats.moment(batch.sealed_at)

    @admin.display
    def finished(self, batch: Batch) -> str:
        return formats.moment(batch.finished_at)


def _counts(batch_id: str) -> list[tuple[str, SafeString, str]]:
    """Return each status with its badge and the number of the batch's jobs that have it."""
    # The index has all that is asked for, so no job is read.
    groups = Job.of_batch(batch_id).order_by().values_list("status").annotate(count=Count("*"))
    counts = dict(groups)
    return [(status, formats.badge(status), f"{counts.get(status, 0):,}") for status in Status]
