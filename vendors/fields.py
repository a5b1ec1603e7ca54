"""A field for JSON. It is stored as text, because each store rejects or rounds some JSON (numbers
beyond 64 bits, NUL, deep nesting; docs/decisions/0006-json-as-text.md).
"""

from typing import Any

from django.db import models

from vendors.payloads import exact


class JSONTextField(models.TextField):  # type: ignore[type-arg]  # generic only in the stubs
    """A JSON value, or None for no value. The store sees ASCII text and can't query inside it."""

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        return None if value is None else exact.read(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else exact.write(value)
