"""What clients send and see: a job as it is posted, as it is shown, and what a list may be asked
for.
"""

import re
from datetime import datetime
from typing import Any

from django.core import signing
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from jobs.api import names, pagination
from jobs.models import Status
from vendors.catalogue import catalogue, listed

OUTWARD = {status: "processing" if status is Status.WAITING else status.value for status in Status}
STATUSES = tuple(dict.fromkeys(OUTWARD.values()))
STORED = {
    outward: tuple(status for status in Status if OUTWARD[status] == outward)
    for outward in STATUSES
}
RESERVED = ("vendor", "options")


class Text(serializers.CharField):
    """A text, and nothing that could be made into one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A whole number in ASCII digits; Python takes those of any script, underscores and 5.0, too."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and not re.fullmatch(r"-?[0-9]+", data):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class Moment(serializers.DateTimeField):
    """A time in ASCII digits."""

    def to_internal_value(self, value: Any) -> datetime:
        if not value.isascii():
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]")
        return super().to_internal_value(value)


class JobInput(serializers.Serializer[Any]):
    """A job as it is posted. Every other field is input for the vendor, and is passed on as it is."""

    vendor = Text(min_length=1, trim_whitespace=False, help_text="A known and enabled vendor.")
    name = Text(
        min_length=1,
        max_length=200,
        help_text="What the job is about; blanks around it are dropped.",
    )
    options = serializers.DictField(
        required=False,
        help_text="Reserved for the gateway; no option is known yet.",
        error_messages={"not_a_dict": "Must be an object."},
    )

    def validate_name(self, name: str) -> str:
        if not names.visible.search(name):
            raise serializers.ValidationError("Must have a character that can be seen.", "blank")
        if names.turning.search(name):
            text = "Must hold no character that turns the direction of text (U+202A to U+202E, U+2066 to U+2069)."
            raise serializers.ValidationError(text, "direction_control")
        return name

    def validate_vendor(self, slug: str) -> str:
        vendor = catalogue.get(slug)
        if vendor is not None and vendor.enabled:
            return slug
        known = listed(slug for slug, vendor in catalogue.all().items() if vendor.enabled)
        if vendor is None:
            raise serializers.ValidationError(
                f"There is no such vendor. Use one of: {known}.", "unknown_vendor"
            )
        raise serializers.ValidationError(
            f"This vendor takes no new jobs. Use one of: {known}.", "vendor_disabled"
        )

    def validate_options(self, options: dict[str, Any]) -> dict[str, Any]:
        if options:
            raise serializers.ValidationError(
                "No option is known yet; leave options out.", "unknown_option"
            )
        return options

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        checked = super().to_internal_value(data)
        passed_on = {key: value for key, value in data.items() if key not in RESERVED}
        return {**checked, "input": {**passed_on, "name": checked["name"]}}


class OutwardStatus(serializers.ChoiceField):
    """The status as clients see it: a job that waits for its callback is processing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=STATUSES, **options)

    def to_representation(self, value: str) -> str:
        return OUTWARD[Status(value)]


class Accepted(serializers.Serializer[Any]):
    request_id = serializers.UUIDField()
    status = OutwardStatus()


class JobError(serializers.Serializer[Any]):
    code = serializers.CharField(source="error_code")
    message = serializers.CharField(source="error_message")


class JobSummary(serializers.Serializer[Any]):
    """A job as a list shows it: without its result."""

    request_id = serializers.UUIDField(source="id")
    status = OutwardStatus()
    vendor = serializers.CharField()
    name = serializers.CharField()
    attempts = serializers.IntegerField(
        source="attempt", help_text="Calls of the vendor that were begun, over all runs."
    )
    run = serializers.IntegerField(help_text="1, and one more for every retry.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(
        allow_null=True, help_text="When the last attempt began."
    )
    finished_at = serializers.DateTimeField(allow_null=True)
    error = JobError(source="*", required=False, help_text="Only when failed.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = super().to_representation(instance)
        if shown["status"] != Status.FAILED:
            del shown["error"]
        return shown


class JobShown(JobSummary):
    """A job, with its result or its error."""

    result = serializers.JSONField(
        required=False, help_text="The vendor's answer. Only when complete."
    )

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = super().to_representation(instance)
        if shown["status"] != Status.COMPLETE:
            del shown["result"]
        return shown


@extend_schema_serializer(many=False)
class JobPage(serializers.Serializer[Any]):
    items = JobSummary(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="Where the next page is; null on the last one."
    )


class ListQuery(serializers.Serializer[Any]):
    """What GET /jobs may be asked for."""

    status = serializers.ChoiceField(choices=STATUSES, required=False)
    vendor = serializers.CharField(required=False)
    created_after = Moment(required=False, help_text="ISO 8601: then or later.")
    created_before = Moment(required=False, help_text="ISO 8601: earlier than that.")
    limit = Whole(default=20, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, help_text="From `next` of the page before.")

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        unknown = {name: [self._unknown(name)] for name in data if name not in self.fields}
        if unknown:
            raise serializers.ValidationError(unknown)
        return dict(super().to_internal_value(data))

    def _unknown(self, name: str) -> Any:
        return serializers.ErrorDetail(
            f"There is no such parameter. Use: {', '.join(self.fields)}.", "unknown_parameter"
        )

    def validate_cursor(self, cursor: str) -> str:
        try:
            return pagination.position(cursor)
        except signing.BadSignature:
            raise serializers.ValidationError(
                "This cursor is not one of ours; start without it.", "bad_cursor"
            ) from None


class FieldError(serializers.Serializer[Any]):
    pointer = serializers.CharField(
        required=False, help_text="JSON Pointer (RFC 6901) to the field at fault."
    )
    parameter = serializers.CharField(required=False, help_text="The query parameter at fault.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemShown(serializers.Serializer[Any]):
    """An error (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence for people.")
    code = serializers.CharField(help_text="Stable, for programs.")
    errors = FieldError(many=True, required=False)  # type: ignore[assignment]  # a name of RFC 9457
