"""Validates what clients send, and reports each invalid field by its pointer or parameter."""

from collections.abc import Iterator
from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import Serializer

from jobs.api.problems import not_valid


def single_values(query: QueryDict) -> dict[str, Any]:
    """Return the parameters. Raises Problem if one is given more than once."""
    repeated = [name for name, values in query.lists() if len(values) > 1]
    if repeated:
        fault = {"code": "repeated_parameter", "detail": "Give this parameter only once."}
        raise not_valid([{"parameter": name, **fault} for name in repeated])
    return query.dict()


def validated(
    serializer: Serializer[Any], data: dict[str, Any], place: str, prefix: str = ""
) -> dict[str, Any]:
    """Return the validated data. Raises Problem with each invalid field under the key `place`."""
    try:
        return dict(serializer.run_validation(data))
    except ValidationError as error:
        detail: Any = error.detail  # a dict of lists, as always with a serializer
    raise not_valid(
        [
            {place: f"{prefix}{field}", "code": fault.code, "detail": str(fault)}
            for field, fault in _faults(detail)
        ]
    )


def _faults(detail: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Yield each fault with its field; inner fields follow a slash, as in a JSON Pointer."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _faults(inner, *path, str(name).replace("~", "~0").replace("/", "~1"))
    else:
        yield from (("/".join(path), fault) for fault in detail)
