"""The base of the serializers of query parameters."""

from typing import Any

from rest_framework import serializers


class Query(serializers.Serializer[Any]):
    """Query parameters. Unknown ones are refused, so that a misspelled one is noticed."""

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        unknown = {name: [self._unknown(name)] for name in data if name not in self.fields}
        if unknown:
            raise serializers.ValidationError(unknown)
        return dict(super().to_internal_value(data))

    def _unknown(self, name: str) -> Any:
        text = f"There is no such parameter. Use: {', '.join(self.fields)}."
        return serializers.ErrorDetail(text, "unknown_parameter")
