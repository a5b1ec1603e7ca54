"""The object `options` of a posted job: what the client wants of the gateway, not of the vendor."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework import serializers

from jobs.api.input.fields import StrictCharField
from jobs.queue.clock import redis_clock

MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512
MAX_EXPIRES_SECONDS = 30 * 86_400
MAX_DELAY = timedelta(days=366)


class MetadataField(serializers.DictField):
    """Pairs of texts, which are returned as they were sent."""

    def __init__(self, **options: Any) -> None:
        text = StrictCharField(
            max_length=MAX_VALUE,
            allow_blank=True,
            trim_whitespace=False,
            error_messages={"invalid": "Metadata values are strings."},
        )
        super().__init__(child=text, **options)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Must be an object.", "not_a_dict")
        if len(data) > MAX_PAIRS:
            text = f"Must have at most {MAX_PAIRS} pairs."
            raise serializers.ValidationError(text, "max_length")
        text = f"Metadata keys have 1 to {MAX_KEY} characters, and no U+0000."
        errors = {
            key: [serializers.ErrorDetail(text, "invalid")]
            for key in data
            if not 1 <= len(key) <= MAX_KEY or "\0" in key
        }
        if errors:
            raise serializers.ValidationError(errors)
        return dict(super().to_internal_value(data))


class SecondsField(serializers.IntegerField):
    """A whole number of seconds, also as 60.0; texts and booleans are not converted."""

    default_error_messages = {"invalid": "Must be a whole number of seconds."}

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int and not (isinstance(data, float) and data.is_integer()):
            self.fail("invalid")
        return int(super().to_internal_value(int(data)))


class MomentField(serializers.DateTimeField):
    """A time that names its zone."""

    def to_internal_value(self, value: Any) -> datetime:
        moment = None
        if isinstance(value, str) and value.isascii():
            try:
                moment = parse_datetime(value)
            except ValueError:  # well formed, but no such time
                moment = None
        if moment is None or moment.tzinfo is None:
            text = "Must be a time with its zone, such as 2027-01-31T12:00:00Z."
            raise serializers.ValidationError(text, "invalid")
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            self.fail("overflow")


class JobOptions(serializers.Serializer[Any]):
    """What the gateway is asked to do with the job. The vendor does not see it."""

    reference = StrictCharField(
        required=False,
        max_length=255,
        trim_whitespace=False,
        help_text="Your own name for the job. GET /jobs?reference= finds it.",
    )
    metadata = MetadataField(
        required=False,
        help_text=f"Up to {MAX_PAIRS} pairs, which are returned with the job: keys of 1 to "
        f"{MAX_KEY} characters, values that are strings of at most {MAX_VALUE}.",
    )
    expires_in = SecondsField(
        required=False,
        min_value=1,
        max_value=MAX_EXPIRES_SECONDS,
        help_text="Seconds from now. If the job is not started by then, it fails with the code "
        "`expired`, and the vendor is not called.",
    )
    not_before = MomentField(
        required=False,
        help_text="A time with its zone (ISO 8601), at most 366 days ahead. The vendor is not "
        "called before.",
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Must be an object.", "not_a_dict")
        text = f"There is no such option. Use: {', '.join(self.fields)}."
        unknown = {
            name: [serializers.ErrorDetail(text, "unknown_option")]
            for name in data
            if name not in self.fields
        }
        if unknown:
            raise serializers.ValidationError(unknown)
        return dict(super().to_internal_value(data))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        now = redis_clock.now()
        not_before, expires_in = attrs.get("not_before", now), attrs.get("expires_in")
        if not_before > now + MAX_DELAY:
            raise _error("not_before", "max_value", f"Must be at most {MAX_DELAY.days} days ahead.")
        if expires_in is not None and now + timedelta(seconds=expires_in) <= not_before:
            text = "The job would expire before not_before. expires_in counts from now."
            raise _error("expires_in", "expires_too_early", text)
        return attrs


def columns(options: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the columns of a job that is made now with these valid options."""
    now = redis_clock.now()
    found: dict[str, Any] = {}
    found |= {name: options[name] for name in ("reference", "metadata") if name in options}
    if "expires_in" in options:
        found["expires_at"] = now + timedelta(seconds=options["expires_in"])
    if options.get("not_before", now) > now:
        found["not_before"] = options["not_before"]
    return found


def _error(option: str, code: str, text: str) -> serializers.ValidationError:
    return serializers.ValidationError({option: [serializers.ErrorDetail(text, code)]})
