"""A job as clients see it, and the query of a list."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from jobs.api.input.fields import StrictDateTimeField, StrictIntegerField
from jobs.api.input.query import Query
from jobs.models import Status
from jobs.queue.held.hold import Hold, Kind
from vendors.base import Outcome

OUTWARD = {status: "processing" if status is Status.WAITING else status.value for status in Status}
STATUSES = tuple(dict.fromkeys(OUTWARD.values()))
STORED = {
    outward: tuple(status for status in Status if OUTWARD[status] == outward)
    for outward in STATUSES
}
FOUND = Outcome.FOUND.value  # of complete jobs from before there were outcomes, too
COMPLETE_OUTCOMES = (FOUND, Outcome.NO_DATA.value)


class OutwardStatus(serializers.ChoiceField):
    """The status as clients see it: a job that waits for its callback is processing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=STATUSES, **options)


@extend_schema_serializer(component_name="Accepted")
class JobAccepted(serializers.Serializer[Any]):
    request_id = serializers.UUIDField()
    status = OutwardStatus()


class JobError(serializers.Serializer[Any]):
    code = serializers.CharField(
        source="error_code",
        help_text="The outcome of the last attempt, such as `invalid_input` or `vendor_error`; "
        "`outcome_unknown`, `worker_lost` or `not_storable` if its answer is not known or could "
        "not be kept; `callback_overdue` or `poll_gave_up` if none came in time; `expired` or "
        "`quota_spent` if the vendor could not be called in time. Adapters may have others.",
    )
    message = serializers.CharField(source="error_message")


class HeldBy(serializers.Serializer[Any]):
    """What keeps a queued job from being called."""

    kind = serializers.ChoiceField(
        choices=tuple(kind.value for kind in Kind),
        help_text="`delay`: until its not_before. `pause`: of the vendor. `worker`: no live worker "
        "serves the vendor. `breaker`: the vendor is down or throttles us, or was until now. "
        "`limit`: rate limits. `quota`: a limit's, for the day, week or month. `in_flight`: "
        "max_in_flight. `credential`: no key can be used.",
    )
    name = serializers.CharField(
        allow_null=True,
        help_text="Of the limit, key or credential. Null if it is the vendor's own, or has none.",
    )
    until = serializers.DateTimeField(
        allow_null=True, help_text="When it ends, perhaps for another one; null if unknown."
    )
    message = serializers.CharField(help_text="A sentence for people.")


@lru_cache(maxsize=1000)  # mostly, all jobs of a vendor are held by the same
def held_by(hold: Hold) -> dict[str, Any]:
    """Return a hold as clients see it."""
    return {
        "kind": hold.kind.value,
        "name": hold.name or None,
        "until": iso(hold.until),
        "message": hold.message,
    }


class JobSummary(serializers.Serializer[Any]):
    """A job as lists show it: without its result."""

    request_id = serializers.UUIDField(source="id")
    status = OutwardStatus()
    outcome = serializers.ChoiceField(
        choices=COMPLETE_OUTCOMES,
        required=False,
        help_text="Present only if the job is complete. `no_data`: the vendor did its work and has "
        "nothing, so the result is null.",
    )
    vendor = serializers.CharField()
    name = serializers.CharField()
    attempts = serializers.IntegerField(
        source="attempt", help_text="Number of attempts to call the vendor, in all runs."
    )
    run = serializers.IntegerField(help_text="1, plus 1 for each retry of the job.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True, help_text="Start of the last attempt.")
    finished_at = serializers.DateTimeField(allow_null=True)
    not_before = serializers.DateTimeField(
        allow_null=True, help_text="While the job is delayed: the next call starts then or later."
    )
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="If the job is not started by then, it fails as `expired`."
    )
    reference = serializers.CharField(allow_null=True, help_text="As posted in `options`.")
    metadata = serializers.DictField(
        child=serializers.CharField(), allow_null=True, help_text="As posted in `options`."
    )
    batch_id = serializers.UUIDField(
        source="batch", allow_null=True, help_text="The batch that the job was posted in."
    )
    batch_index = serializers.IntegerField(
        allow_null=True, help_text="Its place in the batch, counted from 0."
    )
    error = JobError(source="*", required=False, help_text="Present only if the job failed.")
    held_by = HeldBy(
        required=False,
        allow_null=True,
        help_text="Present only if the job is queued, and Redis answers. Null if the job waits for "
        "its turn. At most a second old.",
    )

    def to_representation(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        # A row of `values()`. Written out, because going through the fields takes a tenth of a GET.
        shown = {
            "request_id": instance["id"],
            "status": OUTWARD[instance["status"]],
            "vendor": instance["vendor"],
            "name": instance["name"],
            "attempts": instance["attempt"],
            "run": instance["run"],
            "created_at": iso(instance["created_at"]),
            "started_at": iso(instance["started_at"]),
            "finished_at": iso(instance["finished_at"]),
            "not_before": iso(instance["not_before"]),
            "expires_at": iso(instance["expires_at"]),
            "reference": instance["reference"] or None,
            "metadata": instance["metadata"],
            "batch_id": instance["batch"] or None,
            "batch_index": instance["batch_index"],
        }
        if instance["status"] == Status.COMPLETE:
            shown["outcome"] = instance["outcome"] or FOUND
        elif instance["status"] == Status.FAILED:
            code, message = instance["error_code"], instance["error_message"]
            shown["error"] = {"code": code, "message": message}
        elif "hold" in instance:  # of a queued job, if it is known
            hold = instance["hold"]
            shown["held_by"] = held_by(hold) if hold else None
        return shown


def iso(moment: datetime | None) -> str | None:
    """Return a stored time, which is in UTC, as ISO 8601."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


class JobShown(JobSummary):
    """A job, with its result or its error."""

    result = serializers.JSONField(
        required=False,
        allow_null=True,
        help_text="The vendor's answer, any JSON value. Present only if the job is complete; null "
        "if its outcome is `no_data`.",
    )

    def to_representation(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().to_representation(instance)
        if instance["status"] == Status.COMPLETE:
            shown["result"] = instance["result"]
        return shown


@extend_schema_serializer(many=False)
class JobPage(serializers.Serializer[Any]):
    items = JobSummary(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="Path and query of the next page; null on the last page."
    )


class ListQuery(Query):
    """The query parameters of GET /jobs."""

    status = serializers.ChoiceField(choices=STATUSES, required=False)
    vendor = serializers.CharField(required=False)
    reference = serializers.CharField(
        required=False, trim_whitespace=False, help_text="The reference in the job's options."
    )
    created_after = StrictDateTimeField(
        required=False, help_text="Jobs created at this time (ISO 8601) or later."
    )
    created_before = StrictDateTimeField(
        required=False, help_text="Jobs created before this time (ISO 8601)."
    )
    limit = StrictIntegerField(
        default=20, min_value=1, max_value=100, help_text="Maximum number of jobs on a page."
    )
    cursor = serializers.CharField(
        required=False, help_text="The cursor in `next` of the previous page."
    )
