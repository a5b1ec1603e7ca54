"""The shapes of answers that are made without a serializer, for the document alone."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers


class VendorShown(serializers.Serializer[Any]):
    slug = serializers.CharField()
    enabled = serializers.BooleanField(help_text="Whether it accepts jobs.")
    required_input = serializers.ListField(
        child=serializers.CharField(), help_text="The fields that each of its jobs must have."
    )


@extend_schema_serializer(many=False)
class VendorPage(serializers.Serializer[Any]):
    items = VendorShown(many=True)


class FieldError(serializers.Serializer[Any]):
    pointer = serializers.CharField(
        required=False, help_text="JSON Pointer (RFC 6901) to the invalid field."
    )
    parameter = serializers.CharField(required=False, help_text="The invalid query parameter.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemShown(serializers.Serializer[Any]):
    """An error (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence for people.")
    code = serializers.CharField(help_text="A stable code for programs.")
    errors = FieldError(many=True, required=False)  # type: ignore[assignment]  # a name of RFC 9457
