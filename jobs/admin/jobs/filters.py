"""The filters of the list of jobs."""

from django.http import HttpRequest

from jobs.admin import personal
from jobs.admin.lists.fields import (
    CREATED_OPTIONS,
    Field,
    Filters,
    Options,
    client_field,
    vendor_field,
)
from jobs.advice import ADVICE
from jobs.models import Status

STATUSES = [(status.value, status.value) for status in Status]
CODES = [(code, code) for code, advice in ADVICE.items() if advice.ends_jobs]
WAITING: Options = [
    ("1m", "1 minute"),
    ("10m", "10 minutes"),
    ("1h", "1 hour"),
    ("6h", "6 hours"),
    ("1d", "1 day"),
]
# Not for people to fill in: a plan's list has it instead of waiting_over.
WAITING_SINCE = Field("waiting_since", "Waiting since before (UTC)", "datetime-local", is_more=True)
WITH_NAMES = "Id, reference or name"
WITHOUT_NAMES = "Id or reference"


def searches(request: HttpRequest) -> str:
    """Return what a search looks for, for a person who has found nothing."""
    found = "an id, the last 12 digits of a new job's id, a whole reference"
    if personal.may_see(request):
        return f"A search looks for {found}, or the beginning of a name."
    return (
        f"A search looks for {found}. You may not search by name: that takes the permission to see "
        "personal data."
    )


def filters_of(request: HttpRequest) -> Filters:
    hint = WITH_NAMES if personal.may_see(request) else WITHOUT_NAMES
    return Filters(
        request.GET,
        [
            Field("q", "Search", "search", hint=hint),
            Field("status", "Status", options=STATUSES),
            vendor_field(),
            Field("error_code", "Error", "text", options=CODES),
            Field("created", "Accepted", options=[("today", "today"), *CREATED_OPTIONS]),
            Field("waiting_over", "Waiting longer than", options=WAITING),
            Field(**{**client_field().__dict__, "is_more": True}),
            Field("batch", "Batch", "text", is_more=True, hint="Its id"),
            Field("reference", "Reference", "text", is_more=True),
            Field("bulk", "Bulk action", "text", is_more=True, hint="Its id"),
            Field("created_after", "Accepted since (UTC)", "datetime-local", is_more=True),
            Field("created_before", "Accepted before (UTC)", "datetime-local", is_more=True),
            *([WAITING_SINCE] if request.GET.get(WAITING_SINCE.name) else []),
            Field("ended", "Ended", options=CREATED_OPTIONS, is_more=True),
            Field("ended_after", "Ended since (UTC)", "datetime-local", is_more=True),
            Field("reruns", "Retried before", "checkbox", is_more=True),
        ],
    )
