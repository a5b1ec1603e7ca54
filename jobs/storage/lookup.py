"""Reads some fields of one row by a key and its owner, with a statement that is compiled once.

Django compiles it for every query, which takes ten times as long as SQLite takes to answer.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

from django.db import connection
from django.db.models import Model
from pymongo.read_concern import ReadConcern


class Lookup:
    """Fields of a model that are read often. The field `owner` names whose row it is.

    `by` is the field with the row's key. If it is not the primary key, it must be unique for each
    owner, with a partial index of the keys above ''.
    """

    def __init__(self, model: type[Model], *names: str, owner: str, by: str = "pk") -> None:
        self._model = model
        self._names = names
        self._owner = owner
        self._by = by

    def find(self, key: str, owner: str) -> dict[str, Any] | None:
        """Return the fields by name, or None if this owner has no such row."""
        if connection.vendor == "mongodb":
            rows = self._model._default_manager.filter(**{self._by: key, self._owner: owner})
            return next(iter(rows.values(*self._names)), None)
        with connection.cursor() as cursor:
            row = cursor.execute(self._statement, [key, owner]).fetchone()
        return None if row is None else self._converted(row)

    def find_durable(self, key: str, owner: str) -> dict[str, Any] | None:
        """Do the same, but do not find a row that a failover of MongoDB could take back: one that
        is not yet on a majority of the servers.
        """
        if connection.vendor != "mongodb":
            return self.find(key, owner)
        columns = [str(field.column) for field in self._fields.values()]
        collection = connection.get_collection(  # type: ignore[attr-defined]  # MongoDB's
            self._table, read_concern=ReadConcern("majority")
        )
        match = {column: key if column == self._key else owner for column in self._keys}
        found = next(iter(collection.find(match, columns)), None)
        return None if found is None else self._converted([found[column] for column in columns])

    def _converted(self, row: Sequence[Any]) -> dict[str, Any]:
        found = dict(zip(self._names, row, strict=True))
        for name, convert in self._converters:
            found[name] = convert(found[name])
        return found

    @cached_property
    def _statement(self) -> str:
        quote = connection.ops.quote_name
        columns = ", ".join(quote(field.column) for field in self._fields.values())
        where = " AND ".join(f"{quote(column)} = %s" for column in self._keys)
        if self._by != "pk":  # SQLite uses a partial index only if its condition is repeated
            where += f" AND {quote(self._key)} > ''"
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

    @cached_property
    def _key(self) -> str:
        pk: Any = self._model._meta.pk
        field: Any = pk if self._by == "pk" else self._model._meta.get_field(self._by)
        return str(field.column)

    @cached_property
    def _keys(self) -> tuple[str, str]:
        owner: Any = self._model._meta.get_field(self._owner)
        return self._key, str(owner.column)

    @property
    def _table(self) -> str:
        return self._model._meta.db_table
