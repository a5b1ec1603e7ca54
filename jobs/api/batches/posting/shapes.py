"""The shapes of POST /batches, for the document alone."""

from typing import Any

from rest_framework import serializers

from jobs.api.batches.posting.common import BatchInput
from jobs.api.batches.posting.refusals import MAX_SHOWN
from jobs.api.input.fields import StrictCharField
from jobs.api.input.posted import JobInput
from jobs.models import State


class BatchItem(JobInput):
    """A job of a batch. Without a vendor or an option, it has that of the batch."""

    vendor = StrictCharField(required=False, min_length=1, trim_whitespace=False)


class BatchPosted(BatchInput):
    """A batch in JSON."""

    jobs = BatchItem(many=True)


class ItemRefusal(serializers.Serializer[Any]):
    """Why an item is no job."""

    index = serializers.IntegerField(help_text="Its place in the batch, counted from 0.")
    status = serializers.IntegerField(help_text="The status that a POST of this job alone has.")
    code = serializers.CharField()
    detail = serializers.CharField()
    pointer = serializers.CharField(
        allow_null=True, help_text="JSON Pointer (RFC 6901) to the first field that is not valid."
    )


class BatchAccepted(serializers.Serializer[Any]):
    batch_id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=State.values)
    received = serializers.IntegerField(help_text="The number of items in this request.")
    accepted = serializers.IntegerField(help_text="Of these, those that are jobs.")
    refused = serializers.IntegerField()
    refusals = ItemRefusal(many=True, help_text=f"The first {MAX_SHOWN} that were refused.")
