"""Makes rows that are not saved yet, quickly."""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from django.db.models import Model

M = TypeVar("M", bound=Model)


def new_row(model: type[M], fields: Mapping[str, Any]) -> M:
    """Return a row with these values, which must name its id, and defaults for other fields. It is
    made by position, which takes Django a third of the time.
    """
    return model(*{**_defaults(model), **fields}.values())


@cache
def _defaults(model: type[Model]) -> dict[str, Any]:
    return {field.attname: field.get_default() for field in model._meta.concrete_fields}
