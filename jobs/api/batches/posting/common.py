"""What comes with the items of a batch: its reference, and what its jobs have in common."""

from dataclasses import dataclass
from typing import Any, cast

from rest_framework import serializers

from clients.directory import Caller
from jobs.api.access.permissions import require_vendor
from jobs.api.input.fields import StrictCharField
from jobs.api.input.options import JobOptions
from jobs.api.input.posted import enabled_vendor


class CommonOptions(JobOptions):
    """Options of all jobs of a batch."""

    reference = None  # type: ignore[assignment]  # how a serializer drops an inherited field

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and "reference" in data:
            text = "Each job has a reference of its own. Put it into the options of the job."
            error = serializers.ErrorDetail(text, "unknown_option")
            raise serializers.ValidationError({"reference": [error]})
        return super().to_internal_value(data)


class BatchInput(serializers.Serializer[Any]):
    """The fields beside `jobs`. The context has the caller, and whether the batch is new: one that
    is continued or replayed is answered even if its vendor is disabled by now.
    """

    noun = "field"

    vendor = StrictCharField(
        required=False,
        min_length=1,
        trim_whitespace=False,
        help_text="The vendor of the jobs that name none.",
    )
    reference = StrictCharField(
        required=False,
        max_length=255,
        trim_whitespace=False,
        help_text="Your own name for the batch. GET /batches?reference= finds it.",
    )
    options = CommonOptions(
        required=False, help_text="Options of all jobs. A job's own options count more."
    )

    def validate_vendor(self, slug: str) -> str:
        caller = cast("Caller", self.context["caller"])
        require_vendor(caller, slug)
        return enabled_vendor(slug, caller) if self.context["is_new"] else slug

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        text = f"There is no such {self.noun}. Use: {', '.join(self.names)}."
        error = serializers.ErrorDetail(text, f"unknown_{self.noun}")
        unknown = {name: [error] for name in data if name not in self.names}
        if unknown:
            raise serializers.ValidationError(unknown)
        return dict(super().to_internal_value(data))

    @property
    def names(self) -> tuple[str, ...]:
        return ("jobs", *self.fields)


class BatchParameters(BatchInput):
    """The same as query parameters."""

    noun = "parameter"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.fields)


@dataclass(frozen=True)
class Common:
    """What the jobs of a batch have in common, as posted."""

    vendor: str | None
    options: dict[str, Any]

    def added_to(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the job. What the item itself says counts more."""
        body = item
        if self.vendor is not None and "vendor" not in item:
            body = {"vendor": self.vendor, **item}
        own = item.get("options", {})
        if self.options and isinstance(own, dict):
            body = {**body, "options": {**self.options, **own}}
        return body
