"""JSON kept as text, because each store refuses or rounds some JSON (numbers beyond 64 bit, NUL,
deep nesting).
"""

from typing import Any

from django.db import models

from vendors.payloads import exact


class JSONTextField(models.TextField):  # type: ignore[type-arg]  # generic only for the type checker
    """A JSON value; None is no value. The store sees ASCII text and never looks into it."""

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        return None if value is None else exact.read(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else exact.write(value)
