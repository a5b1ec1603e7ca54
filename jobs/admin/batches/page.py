"""The page of one batch: how far it is, and what was refused."""

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from jobs.admin.batches.listing import badge
from jobs.admin.jobs.listing import bulk_links
from jobs.choice import Choice
from jobs.console import console
from jobs.models import FINAL, Batch, Job, RefusedItem, State, Status

MAX_REFUSED = 100
REFRESH_SECONDS = 5
CUT_SHORT = "Nobody continued its upload for 24 hours, so it may lack items."


def show(request: HttpRequest, batch: Batch) -> HttpResponse:
    refused, counts = RefusedItem.of_batch(batch.pk), counts_of(batch.pk)
    total = sum(counts.values())
    done = sum(counts[status] for status in FINAL)
    is_open = batch.state != State.FINISHED
    context: dict[str, Any] = {
        "title": f"Batch {batch.pk}",
        "batch": batch,
        "badge": badge(batch),
        "sentence": " ".join([f"{done:,} of {total:,} jobs are final.", *notes(batch)]),
        "counts": [(status.value, counts[status]) for status in Status],
        "done": done,
        "total": total,
        "refused": refused.order_by("pk")[:MAX_REFUSED],
        "refused_count": refused.count(),
        "shows_jobs": request.user.has_perm("jobs.view_job"),
        "bulk": _bulk_links(request, batch, counts),
        "refresh_seconds": REFRESH_SECONDS if is_open else None,
    }
    return TemplateResponse(
        request, "console/batches/batch.html", console.context(request, **context)
    )


def counts_of(batch_id: str) -> dict[Status, int]:
    """Return how many of the batch's jobs have each status."""
    # The index has all that is asked for, so no job is read.
    groups = Job.of_batch(batch_id).order_by().values_list("status").annotate(count=Count("*"))
    counts = dict(groups)
    return {status: counts.get(status, 0) for status in Status}


def notes(batch: Batch) -> list[str]:
    """Return what else is to be said of its state."""
    found = [CUT_SHORT] if batch.cut_short else []
    if batch.state == State.RECEIVING:
        found.append("More items may come.")
    elif batch.state == State.RUNNING and batch.cancel_requested_at:
        found.append("Its jobs are being cancelled.")
    elif batch.state == State.RUNNING and batch.retry_requested_at:
        found.append("Its failed jobs are being retried.")
    return found


def _bulk_links(
    request: HttpRequest, batch: Batch, counts: dict[Status, int]
) -> list[tuple[str, str]]:
    statuses = [status for status in (Status.FAILED, Status.QUEUED) if counts[status]]
    links = []
    for status in statuses:
        links += bulk_links(request, Choice(batch=batch.pk, status=status))
    words = {"Retry": "Retry what failed…", "Cancel": "Cancel what is queued…"}
    return [(words[label.split()[0]], url) for label, url in links]
