"""Indexes that the models declare and the store lacks: dropped by hand, or never built. Without
them, queries read every row.
"""

import json
import re
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
class Shape:
    """What a query needs to know of an index."""

    columns: Columns
    is_unique: bool = False
    condition: str = ""  # of the rows in a partial index, in one spelling


@dataclass(frozen=True)
class DeclaredIndex:
    model: type[Model]
    columns: Columns
    is_unique: bool = False
    name: str = ""
    condition: Any = None  # as SQL, or as MongoDB's document

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def kind(self) -> str:
        return ("partial " if self.condition else "") + self._kind

    @property
    def _kind(self) -> str:
        return "unique index" if self.is_unique else "index"

    @property
    def shape(self) -> Shape:
        return Shape(self.columns, self.is_unique, _spelled(self.condition))

    def statement(self) -> str:
        """Return the command that creates it, for the shell of the store."""
        name = self.name or "_".join([self.table, *(column for column, _ in self.columns)])
        if connection.vendor == "mongodb":
            keys = json.dumps(dict(self.columns))
            options = {"name": name, **self._options()}
            return f"db.{self.table}.createIndex({keys}, {_in_shell(options)})"
        columns = ", ".join(
            f'"{column}"{" DESC" if order < 0 else ""}' for column, order in self.columns
        )
        where = f" WHERE {self.condition}" if self.condition else ""
        return f'CREATE {self._kind.upper()} "{name}" ON "{self.table}" ({columns}){where}'

    def _options(self) -> dict[str, object]:
        """Return what the backend sets: rows without a value do not conflict."""
        expression = {column: dict(each) for column, each in (self.condition or {}).items()}
        if self.is_unique:
            fields = self.model._meta.concrete_fields
            types = {field.column: field.db_type(connection) for field in fields}
            for column, _ in self.columns:
                expression[column] = {**expression.get(column, {}), "$type": types[column]}
        unique = {"unique": True} if self.is_unique else {}
        return {**unique, **({"partialFilterExpression": expression} if expression else {})}


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
        if index.shape not in found[index.table]
    ]


def declared() -> Iterator[DeclaredIndex]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            yield from _of_fields(model)
            yield from _of_meta(model)
    if connection.vendor == "mongodb":
        index = import_module("enrichlabs.mongodb.auth_migrations.0002_username_index").USERNAME
        users = get_user_model()
        yield _declared(users, index)


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
        yield _declared(model, index)
    for fields in options.unique_together:
        yield _declared(model, Index(fields=list(fields)), is_unique=True)
    for each in options.constraints:
        if isinstance(each, UniqueConstraint):
            index = Index(fields=list(each.fields), name=each.name, condition=each.condition)
            yield _declared(model, index, is_unique=True)


def _declared(model: type[Model], index: Index, *, is_unique: bool = False) -> DeclaredIndex:
    columns: dict[str, Any] = {field.name: field.column for field in model._meta.concrete_fields}
    ordered = tuple((columns[name], -1 if order else 1) for name, order in index.fields_orders)
    return DeclaredIndex(model, ordered, is_unique, index.name, _condition(model, index))


def _condition(model: type[Model], index: Index) -> Any:
    if index.condition is None:
        return None
    editor = connection.SchemaEditorClass(connection, collect_sql=True)
    if connection.vendor == "mongodb":
        return dict(index._get_condition_mql(model, editor))  # type: ignore[attr-defined]  # the backend's
    return index._get_condition_sql(model, editor)  # type: ignore[attr-defined]  # not in the stubs


def _spelled(condition: Any) -> str:
    """Return the condition in a spelling that does not depend on who wrote it."""
    if isinstance(condition, str):
        return re.sub(r'["`\[\]()\s]', "", condition)
    return _in_shell(condition, sort_keys=True) if condition else ""


def _in_shell(value: Any, **options: Any) -> str:
    """Return a value as MongoDB's shell reads it."""
    text = json.dumps(value, default=lambda at: f"ISODate({at:%Y-%m-%dT%H:%M:%S}Z)", **options)
    return re.sub(r'"ISODate\(([^)]*)\)"', r'ISODate("\1")', text)


def existing(table: str) -> set[Shape]:
    """Return the usable indexes. A unique index is listed twice, since it also serves as an
    ordinary one.
    """
    return set(_of_collection(table) if connection.vendor == "mongodb" else _of_table(table))


def _of_table(table: str) -> Iterator[Shape]:
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, table)
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
        statements = {name: sql or "" for name, sql in cursor.fetchall()}
    for name, each in constraints.items():
        orders = each.get("orders") or ["ASC"] * len(each["columns"])
        columns = tuple(
            (column, -1 if order == "DESC" else 1)
            for column, order in zip(each["columns"], orders, strict=True)
        )
        _, _, condition = re.sub(r"\s+", " ", statements.get(name, "")).partition(" WHERE ")
        if each["unique"]:
            yield Shape(columns, True, _spelled(condition))
        if each["index"] or each["unique"]:
            yield Shape(columns, False, _spelled(condition))


def _of_collection(table: str) -> Iterator[Shape]:
    collection: Collection[dict[str, Any]] = connection.get_collection(table)  # type: ignore[attr-defined]  # MongoDB only
    for each in collection.index_information().values():
        if each.get("hidden") or each.get("sparse"):
            continue
        columns = tuple((column, order) for column, order in each["key"])
        partial = each.get("partialFilterExpression") or {}
        condition = _spelled(_without_types(partial))
        if each.get("unique"):
            yield Shape(columns, True, condition)
        # Some partial indexes are in use for those queries that imply their condition. The planner
        # uses none with a type in it (docs/decisions/0002-mongodb.md).
        if "$type" not in str(partial):
            yield Shape(columns, False, condition)


def _without_types(expression: dict[str, Any]) -> dict[str, Any]:
    """Return the condition without what the backend adds for unique columns."""
    found = {
        column: {operator: value for operator, value in each.items() if operator != "$type"}
        for column, each in expression.items()
    }
    return {column: each for column, each in found.items() if each}
