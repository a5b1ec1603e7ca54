"""Indexes that the models declare and the store lacks: dropped by hand, or never built. Without
them, queries read every row.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Warning
from django.db import connection
from django.db.models import Index, Model, UniqueConstraint
from pymongo.collection import Collection

from enrichlabs.checks.store import unapplied_migrations

MISSING = "enrichlabs.W003"
Columns = tuple[tuple[str, int], ...]  # each with 1 for ascending, -1 for descending


@dataclass(frozen=True)
class DeclaredIndex:
    model: type[Model]
    columns: Columns
    is_unique: bool = False
    name: str = ""

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def kind(self) -> str:
        return "unique index" if self.is_unique else "index"

    def statement(self) -> str:
        """Return the command that creates it, for the shell of the store."""
        name = self.name or "_".join([self.table, *(column for column, _ in self.columns)])
        if connection.vendor == "mongodb":
            keys = json.dumps(dict(self.columns))
            options = {"name": name, **(self._unique_options() if self.is_unique else {})}
            return f"db.{self.table}.createIndex({keys}, {json.dumps(options)})"
        columns = ", ".join(
            f'"{column}"{" DESC" if order < 0 else ""}' for column, order in self.columns
        )
        return f'CREATE {self.kind.upper()} "{name}" ON "{self.table}" ({columns})'

    def _unique_options(self) -> dict[str, object]:
        """Return what the backend sets: rows without a value do not conflict."""
        fields = self.model._meta.concrete_fields
        types = {field.column: field.db_type(connection) for field in fields}
        expression = {column: {"$type": types[column]} for column, _ in self.columns}
        return {"unique": True, "partialFilterExpression": expression}


def check() -> list[CheckMessage]:
    """Report nothing while migrations are pending, which may create what is missing. Raises one of
    STORE_ERRORS.
    """
    if unapplied_migrations():
        return []
    found = {table: existing(table) for table in sorted({index.table for index in declared()})}
    return [
        Warning(
            f"The table {index.table} has no {index.kind} on "
            f"{', '.join(column for column, _ in index.columns)}.",
            hint=f"Create it: {index.statement()}",
            id=MISSING,
        )
        for index in declared()
        if (index.columns, index.is_unique) not in found[index.table]
    ]


def declared() -> Iterator[DeclaredIndex]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            yield from _of_fields(model)
            yield from _of_meta(model)
    if connection.vendor == "mongodb":
        index = import_module("enrichlabs.mongodb.auth_migrations.0002_username_index").USERNAME
        users = get_user_model()
        yield DeclaredIndex(users, _columns(users, index), name=index.name)


def _of_fields(model: type[Model]) -> Iterator[DeclaredIndex]:
    fields: Sequence[Any] = model._meta.local_concrete_fields
    for field in fields:
        if field.unique and not field.primary_key:
            yield DeclaredIndex(model, ((field.column, 1),), is_unique=True)
        elif field.db_index and not field.primary_key:
            yield DeclaredIndex(model, ((field.column, 1),))


def _of_meta(model: type[Model]) -> Iterator[DeclaredIndex]:
    options = model._meta
    for index in options.indexes:
        yield DeclaredIndex(model, _columns(model, index), name=index.name)
    constraints = [
        each.fields for each in options.constraints if isinstance(each, UniqueConstraint)
    ]
    for fields in [*options.unique_together, *constraints]:
        columns = _columns(model, Index(fields=list(fields)))
        yield DeclaredIndex(model, columns, is_unique=True)


def _columns(model: type[Model], index: Index) -> Columns:
    columns: dict[str, Any] = {field.name: field.column for field in model._meta.concrete_fields}
    return tuple((columns[name], -1 if order else 1) for name, order in index.fields_orders)


def existing(table: str) -> set[tuple[Columns, bool]]:
    """Return the columns of each usable index, and whether it is unique. A unique index is listed
    twice, since it also serves as an ordinary one.
    """
    return set(_of_collection(table) if connection.vendor == "mongodb" else _of_table(table))


def _of_table(table: str) -> Iterator[tuple[Columns, bool]]:
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, table).values()
    for each in constraints:
        orders = each.get("orders") or ["ASC"] * len(each["columns"])
        columns = tuple(
            (column, -1 if order == "DESC" else 1)
            for column, order in zip(each["columns"], orders, strict=True)
        )
        if each["unique"]:
            yield columns, True
        if each["index"] or each["unique"]:
            yield columns, False


def _of_collection(table: str) -> Iterator[tuple[Columns, bool]]:
    collection: Collection[dict[str, Any]] = connection.get_collection(table)  # type: ignore[attr-defined]  # MongoDB only
    for each in collection.index_information().values():
        if each.get("hidden"):
            continue
        columns = tuple((column, order) for column, order in each["key"])
        if each.get("unique"):
            yield columns, True
        # The planner uses an index with fewer rows for none of our queries
        # (docs/decisions/0002-mongodb.md).
        if not each.get("partialFilterExpression") and not each.get("sparse"):
            yield columns, False
