"""A batch as it is shown, the query of a list, and that of the results."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from jobs.api.input.fields import StrictIntegerField
from jobs.api.input.query import Query
from jobs.api.serializers import STATUSES, iso
from jobs.models import Batch, State

REFUSED = "refused"  # the status of an item that is no job
COUNTED = (*STATUSES, REFUSED)  # the statuses of items, as clients see them
ACTIONS = ("cancel", "retry")


class Counts(serializers.Serializer[Any]):
    """How many items have each status."""

    queued = serializers.IntegerField()
    processing = serializers.IntegerField()
    complete = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    refused = serializers.IntegerField(help_text="Items that are no jobs: see the results.")


class BatchSummary(serializers.Serializer[Any]):
    """A batch as lists show it: without counts."""

    batch_id = serializers.UUIDField(source="id")
    state = serializers.ChoiceField(
        choices=State.values,
        help_text="`receiving` while items may come, `running` when all have come, `finished` when "
        "all of its jobs are final.",
    )
    reference = serializers.CharField(allow_null=True, help_text="As posted.")
    created_at = serializers.DateTimeField()
    sealed_at = serializers.DateTimeField(allow_null=True, help_text="When all items had come.")
    finished_at = serializers.DateTimeField(allow_null=True)
    cut_short = serializers.BooleanField(
        help_text="Whether it was sealed because its upload was not continued for 24 hours."
    )
    pending_action = serializers.ChoiceField(
        choices=ACTIONS,
        allow_null=True,
        help_text="What was requested for all of its jobs and is still being carried out.",
    )

    def to_representation(self, instance: Batch) -> dict[str, Any]:
        return {
            "batch_id": instance.id,
            "state": instance.state,
            "reference": instance.reference or None,
            "created_at": iso(instance.created_at),
            "sealed_at": iso(instance.sealed_at),
            "finished_at": iso(instance.finished_at),
            "cut_short": instance.cut_short,
            "pending_action": _pending_action(instance),
        }


def _pending_action(batch: Batch) -> str | None:
    if batch.state == State.FINISHED:
        return None  # a batch keeps the request that was carried out
    if batch.cancel_requested_at:
        return "cancel"
    return "retry" if batch.retry_requested_at else None


class BatchShown(BatchSummary):
    """A batch, with the numbers of its items."""

    received = serializers.IntegerField(help_text="The number of items: the sum of `counts`.")
    counts = Counts()


@extend_schema_serializer(many=False)
class BatchPage(serializers.Serializer[Any]):
    items = BatchSummary(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="Path and query of the next page; null on the last page."
    )


class BatchListQuery(Query):
    """The query parameters of GET /batches."""

    state = serializers.ChoiceField(choices=State.values, required=False)
    reference = serializers.CharField(
        required=False, trim_whitespace=False, help_text="The batch's reference."
    )
    limit = StrictIntegerField(
        default=20, min_value=1, max_value=100, help_text="Maximum number of batches on a page."
    )
    cursor = serializers.CharField(
        required=False, help_text="The cursor in `next` of the previous page."
    )


class ResultsQuery(Query):
    """The query parameters of GET /batches/{batch_id}/results."""

    format = serializers.ChoiceField(choices=("ndjson", "csv"), default="ndjson")
    partial = serializers.ChoiceField(  # type: ignore[assignment]  # a name of the framework's
        choices=("true", "false"),
        default="false",
        help_text="Whether the batch may be unfinished. Its open jobs are listed without a result.",
    )
    fields = serializers.CharField(  # type: ignore[assignment]  # the same
        required=False,
        help_text="Fields of the results, such as `name,address.city`. In CSV each has a column.",
    )
