"""Indexes that the models ask for and the store lacks: dropped by hand, or never built. Without
one, queries read all rows.
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

from enrichlabs.checks.store import pending

MISSING = "enrichlabs.W003"
Columns = tuple[tuple[str, int], ...]  # each with 1 or, where it is descending, -1


@dataclass(frozen=True)
class Wanted:
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
        """Return what makes it, in the language of the store's own shell."""
        name = self.name or "_".join([self.table, *(column for column, _ in self.columns)])
        if connection.vendor == "mongodb":
            options = {"name": name, **(self._only_values() if self.is_unique else {})}
            return f"db.{self.table}.createIndex({json.dumps(dict(self.columns))}, {json.dumps(options)})"
        columns = ", ".join(
            f'"{column}"{" DESC" if way < 0 else ""}' for column, way in self.columns
        )
        return f'CREATE {self.kind.upper()} "{name}" ON "{self.table}" ({columns})'

    def _only_values(self) -> dict[str, object]:
        """As the backend makes it: several rows without a value do not clash."""
        types = {
            field.column: field.db_type(connection) for field in self.model._meta.concrete_fields
        }
        return {
            "unique": True,
            "partialFilterExpression": {
                column: {"$type": types[column]} for column, _ in self.columns
            },
        }


def missing() -> list[CheckMessage]:
    """Return nothing while migrations are to be applied: they may make what is missing. Raises one
    of STORE_ERRORS.
    """
    if pending():
        return []
    there = {table: existing(table) for table in sorted({each.table for each in wanted()})}
    return [
        Warning(
            f"The table {each.table} has no {each.kind} on {', '.join(column for column, _ in each.columns)}.",
            hint=f"Make it: {each.statement()}",
            id=MISSING,
        )
        for each in wanted()
        if (each.columns, each.is_unique) not in there[each.table]
    ]


def wanted() -> Iterator[Wanted]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            yield from _of_fields(model)
            yield from _of_meta(model)
    if connection.vendor == "mongodb":
        index = import_module("enrichlabs.mongodb.auth_migrations.0002_username_index").USERNAME
        yield Wanted(get_user_model(), _columns(get_user_model(), index), name=index.name)


def _of_fields(model: type[Model]) -> Iterator[Wanted]:
    fields: Sequence[Any] = model._meta.local_concrete_fields
    for field in fields:
        if field.unique and not field.primary_key:
            yield Wanted(model, ((field.column, 1),), is_unique=True)
        elif field.db_index and not field.primary_key:
            yield Wanted(model, ((field.column, 1),))


def _of_meta(model: type[Model]) -> Iterator[Wanted]:
    for index in model._meta.indexes:
        yield Wanted(model, _columns(model, index), name=index.name)
    constraints = [
        each.fields for each in model._meta.constraints if isinstance(each, UniqueConstraint)
    ]
    for fields in [*model._meta.unique_together, *constraints]:
        yield Wanted(model, _columns(model, Index(fields=list(fields))), is_unique=True)


def _columns(model: type[Model], index: Index) -> Columns:
    columns: dict[str, Any] = {field.name: field.column for field in model._meta.concrete_fields}
    return tuple((columns[name], -1 if order else 1) for name, order in index.fields_orders)


def existing(table: str) -> set[tuple[Columns, bool]]:
    """Return the columns of each index that can be used, and whether it is unique. A unique one is
    one of any kind, too.
    """
    return set(_of_collection(table) if connection.vendor == "mongodb" else _of_table(table))


def _of_table(table: str) -> Iterator[tuple[Columns, bool]]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table).values()
    for each in found:
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
    collection: Collection[dict[str, Any]] = connection.get_collection(table)  # type: ignore[attr-defined]  # MongoDB's alone
    for each in collection.index_information().values():
        if each.get("hidden"):
            continue
        columns = tuple((column, way) for column, way in each["key"])
        if each.get("unique"):
            yield columns, True
        # Its planner takes one with fewer rows for no query of ours
        # (docs/decisions/0002-mongodb.md).
        if not each.get("partialFilterExpression") and not each.get("sparse"):
            yield columns, False
