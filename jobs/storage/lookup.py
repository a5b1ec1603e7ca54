"""Some fields of one row by its id, with a statement that is made once.

Django makes it anew for each question, which takes ten times as long as SQLite takes to answer.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from django.db import connection
from django.db.models import Model


class Lookup:
    """The fields of a model that are asked for again and again."""

    def __init__(self, model: type[Model], *names: str) -> None:
        self._model = model
        self._names = names

    def find(self, pk: str) -> dict[str, Any] | None:
        """Return the fields by name, or None where there is no such row."""
        if connection.vendor == "mongodb":
            return next(iter(self._model._default_manager.filter(pk=pk).values(*self._names)), None)
        with connection.cursor() as cursor:
            row = cursor.execute(self._statement, [pk]).fetchone()
        if row is None:
            return None
        found = dict(zip(self._names, row, strict=True))
        for name, convert in self._converters:
            found[name] = convert(found[name])
        return found

    @cached_property
    def _statement(self) -> str:
        columns = ", ".join(map(_quoted, self._fields.values()))
        table = connection.ops.quote_name(self._model._meta.db_table)
        return f"SELECT {columns} FROM {table} WHERE {_quoted(self._model._meta.pk)} = %s"  # noqa: S608  # names of ours

    @cached_property
    def _converters(self) -> list[tuple[str, Callable[[Any], Any]]]:
        """What makes of a column what the model has, by field, where it is not so already."""
        columns = [
            (name, field.get_col(self._model._meta.db_table))
            for name, field in self._fields.items()
        ]
        return [
            (name, partial(converter, expression=column, connection=connection))
            for name, column in columns
            for converter in [
                *connection.ops.get_db_converters(column),
                *column.get_db_converters(connection),
            ]
        ]

    @cached_property
    def _fields(self) -> dict[str, Any]:
        return {name: self._model._meta.get_field(name) for name in self._names}


def _quoted(field: Any) -> str:
    return connection.ops.quote_name(field.column)
