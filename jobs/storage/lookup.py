"""Reads some fields of one row by primary key and owner, with a statement that is compiled once.

Django compiles it for every query, which takes ten times as long as SQLite takes to answer.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from django.db import connection
from django.db.models import Model


class Lookup:
    """Fields of a model that are read often. The field `owner` names whose row it is."""

    def __init__(self, model: type[Model], *names: str, owner: str) -> None:
        self._model = model
        self._names = names
        self._owner = owner

    def find(self, pk: str, owner: str) -> dict[str, Any] | None:
        """Return the fields by name, or None if this owner has no such row."""
        if connection.vendor == "mongodb":
            rows = self._model._default_manager.filter(pk=pk, **{self._owner: owner})
            return next(iter(rows.values(*self._names)), None)
        with connection.cursor() as cursor:
            row = cursor.execute(self._statement, [pk, owner]).fetchone()
        if row is None:
            return None
        found = dict(zip(self._names, row, strict=True))
        for name, convert in self._converters:
            found[name] = convert(found[name])
        return found

    @cached_property
    def _statement(self) -> str:
        quote = connection.ops.quote_name
        columns = ", ".join(quote(field.column) for field in self._fields.values())
        key = quote(str(self._model._meta.pk.column))
        field: Any = self._model._meta.get_field(self._owner)
        owner = quote(field.column)
        where = f"{key} = %s AND {owner} = %s"
        return f"SELECT {columns} FROM {quote(self._table)} WHERE {where}"  # noqa: S608 - our names

    @cached_property
    def _converters(self) -> list[tuple[str, Callable[[Any], Any]]]:
        """The conversions from column to field value, for the fields that need any."""
        found: list[tuple[str, Callable[[Any], Any]]] = []
        for name, field in self._fields.items():
            column = field.get_col(self._table)
            backend = connection.ops.get_db_converters(column)
            for converter in [*backend, *column.get_db_converters(connection)]:
                found.append((name, partial(converter, expression=column, connection=connection)))
        return found

    @cached_property
    def _fields(self) -> dict[str, Any]:
        return {name: self._model._meta.get_field(name) for name in self._names}

    @property
    def _table(self) -> str:
        return self._model._meta.db_table
