"""What clients send and receive: a posted job, a job as it is shown, and the query of a list."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from clients.directory import Caller
from jobs.api.input.fields import StrictCharField, StrictDateTimeField, StrictIntegerField
from jobs.api.input.options import JobOptions
from jobs.api.input.query import Query
from jobs.models import Status
from vendors.base import RESERVED_INPUT, Outcome
from vendors.catalogue import catalogue, listed
from vendors.models import Vendor

OUTWARD = {status: "processing" if status is Status.WAITING else status.value for status in Status}
STATUSES = tuple(dict.fromkeys(OUTWARD.values()))
STORED = {
    outward: tuple(status for status in Status if OUTWARD[status] == outward)
    for outward in STATUSES
}
FOUND = Outcome.FOUND.value  # of complete jobs from before there were outcomes, too
COMPLETE_OUTCOMES = (FOUND, Outcome.NO_DATA.value)

# White space, control and format characters, and letters without a glyph.
_INVISIBLE = (
    r"\s\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffb"
)
# Bidirectional controls, which make text read otherwise than it is stored. (The marks U+200E,
# U+200F and U+061C do not, and belong to some names.)
_DIRECTION_CONTROLS = r"\u202a-\u202e\u2066-\u2069"
VISIBLE = re.compile(rf"[^{_INVISIBLE}\U000e0000-\U000e0fff]")
DIRECTION_CONTROL = re.compile(rf"[{_DIRECTION_CONTROLS}]")
# The same for the schema, in what all dialects of regular expressions share.
NAME_PATTERN = rf"^[^\u0000{_DIRECTION_CONTROLS}]*[^{_INVISIBLE}][^\u0000{_DIRECTION_CONTROLS}]*$"


def enabled_vendor(slug: str, caller: Caller) -> str:
    """Return the slug of a vendor that is enabled. Raises ValidationError if it is not."""
    vendor = catalogue.get(slug)
    if vendor is not None and vendor.enabled:
        return slug
    usable = (each.slug for each in catalogue.all().values() if each.enabled)
    enabled = listed(each for each in usable if caller.may_use(each))
    if vendor is None:
        text, code = f"There is no such vendor. Use one of: {enabled}.", "unknown_vendor"
    else:
        text, code = f"This vendor is disabled. Use one of: {enabled}.", "vendor_disabled"
    raise serializers.ValidationError(text, code)


class JobInput(serializers.Serializer[Any]):
    """A job as clients post it. All other fields are passed on to the vendor unchanged."""

    vendor = StrictCharField(
        min_length=1, trim_whitespace=False, help_text="The slug of an enabled vendor."
    )
    name = StrictCharField(
        required=False,
        min_length=1,
        max_length=200,
        help_text="What the job is about. Surrounding white space is removed.",
    )
    options = JobOptions(required=False)

    def of(self, caller: Caller) -> Self:
        """Return a copy for a request of this caller. It shares the fields, which keep no state:
        copying them would take longer than the validation.
        """
        self.fields  # noqa: B018 - made on first use, which is not to be each copy's
        copied = object.__new__(type(self))  # a fifth of the time of copy.copy
        copied.__dict__.update(self.__dict__)
        copied._context = {"caller": caller}
        return copied

    def validate_name(self, name: str) -> str:
        if not VISIBLE.search(name):
            text = "Must contain at least one visible character."
            raise serializers.ValidationError(text, "blank")
        if DIRECTION_CONTROL.search(name):
            text = "Must not contain bidirectional controls (U+202A to U+202E, U+2066 to U+2069)."
            raise serializers.ValidationError(text, "direction_control")
        return name

    def validate_vendor(self, slug: str) -> str:
        return enabled_vendor(slug, self.context["caller"])

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        slug = data.get("vendor")
        missing = missing_input(catalogue.get(slug) if isinstance(slug, str) else None, data)
        try:
            valid = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**missing, **error.detail}) from None  # type: ignore[dict-item]  # a dict
        if missing:
            raise serializers.ValidationError(missing)
        passed_on = {key: value for key, value in data.items() if key not in RESERVED_INPUT}
        named = {"name": valid["name"]} if "name" in valid else {}
        return {"name": "", **valid, "input": {**passed_on, **named}}


def missing_input(
    vendor: Vendor | None, given: Mapping[str, Any]
) -> dict[str, list[serializers.ErrorDetail]]:
    """Return an error for each field that the vendor requires and the input lacks."""
    required = vendor.required_fields if vendor else ()
    return {name: [fault] for name in required if (fault := _fault(given.get(name)))}


def _fault(value: Any) -> serializers.ErrorDetail | None:
    """Return why the value does not serve as required input."""
    if value is None:
        return serializers.ErrorDetail("This vendor requires this field.", "required")
    if isinstance(value, str) and not VISIBLE.search(value):
        return serializers.ErrorDetail("Must contain at least one visible character.", "blank")
    return None


class OutwardStatus(serializers.ChoiceField):
    """The status as clients see it: a job that waits for its callback is processing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=STATUSES, **options)


@extend_schema_serializer(component_name="Accepted")
class JobAccepted(serializers.Serializer[Any]):
    request_id = serializers.UUIDField()
    status = OutwardStatus()


class JobError(serializers.Serializer[Any]):
    code = serializers.CharField(source="error_code")
    message = serializers.CharField(source="error_message")


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
