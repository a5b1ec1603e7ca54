"""A job as clients post it."""

import re
from collections.abc import Mapping
from typing import Any, Self

from rest_framework import serializers

from clients.directory import Caller
from jobs.api.input.fields import StrictCharField
from jobs.api.input.options import JobOptions
from vendors.base import RESERVED_INPUT
from vendors.catalogue import catalogue, listed
from vendors.models import Vendor

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
