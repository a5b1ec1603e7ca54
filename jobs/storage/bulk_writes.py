"""Writes of a whole batch: on SQLite one statement for all rows that change alike, on MongoDB one
round trip for all.

Either store says of a batch how many of its updates found their row, not which. Each therefore
leaves a token of its own in the row that it changes, and where some found none, one read tells
whose are there; so it does of rows that were to be inserted. On MongoDB it also tells so when a
batch is written again whose answer was lost: what had happened is not refused for that.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from django.db import connection
from django.db.models import CharField, Field, IntegerField
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from jobs.models import Attempt, Callback, Job

DUPLICATE_KEY = 11000
FIELDS = {field.name: field for field in Job._meta.concrete_fields}


@dataclass(frozen=True)
class Update:
    """A change of one job, made if it still is as `condition` says; `token` names this update and
    no other.

    A condition is a field's name, alone or with `__in` or `__gte` behind it.
    """

    job_id: str
    condition: dict[str, Any]
    changes: dict[str, Any]
    token: str

    def set_values(self) -> dict[str, Any]:
        """Return what to write, by field, as the store takes it."""
        changes = {**self.changes, "run_token": self.token}
        return {name: _prepared(FIELDS[name], value) for name, value in changes.items()}

    def conditions(self) -> dict[tuple[str, str], Any]:
        """Return what must hold, by field and lookup (``, `in` or `gte`), as the store takes it."""
        wanted = {
            ("id", ""): self.job_id,
            **{_parts(name): value for name, value in self.condition.items()},
        }
        return {
            (name, lookup): _prepared(FIELDS[name], value)
            for (name, lookup), value in wanted.items()
        }


def update_each(updates: Sequence[Update]) -> list[bool]:
    """Make the updates and return for each whether it found its row."""
    if not updates:
        return []  # which MongoDB's driver takes for a mistake
    write = _update_on_mongodb if connection.vendor == "mongodb" else _update_in_sql
    if write(updates) == len(updates):
        return [True] * len(updates)
    left = dict(
        Job.objects.filter(pk__in=[update.job_id for update in updates]).values_list(
            "pk", "run_token"
        )
    )
    return [left.get(update.job_id) == update.token for update in updates]


def insert_each(rows: Sequence[Job] | Sequence[Attempt] | Sequence[Callback]) -> list[bool]:
    """Insert rows of one model and return for each whether it is there: not where another has its
    unique key.
    """
    model = type(rows[0])
    fields = model._meta.concrete_fields
    values = [[_prepared(field, getattr(row, field.attname)) for field in fields] for row in rows]
    columns = [str(field.column) for field in fields]
    if connection.vendor == "mongodb":
        inserted = _insert_on_mongodb(
            model, [dict(zip(columns, row, strict=True)) for row in values]
        )
    else:
        with connection.cursor() as cursor:
            inserted = cursor.executemany(
                _insert(model._meta.db_table, tuple(columns)), values
            ).rowcount
    if inserted == len(rows):
        return [True] * len(rows)
    there = set(
        model._default_manager.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True)
    )
    return [row.pk in there for row in rows]


def _parts(condition: str) -> tuple[str, str]:
    name, _, lookup = condition.partition("__")
    return name, lookup


def _prepared(field: "Field[Any, Any]", value: Any) -> Any:
    """Return the value as the store takes it: texts and numbers as they are."""
    if value is None or isinstance(field, CharField | IntegerField):
        return value
    return (
        _moment(field, value, connection.vendor)
        if isinstance(value, datetime)
        else field.get_db_prep_save(value, connection)
    )


@lru_cache  # a batch has few, and each many times
def _moment(field: "Field[Any, Any]", value: datetime, store: str) -> Any:
    return field.get_db_prep_save(value, connection)


# In SQL


def _update_in_sql(updates: Iterable[Update]) -> int:
    alike: dict[str, list[list[Any]]] = defaultdict(list)
    for update in updates:
        values, conditions = update.set_values(), update.conditions()
        wanted = [item if lookup == "in" else [item] for (_, lookup), item in conditions.items()]
        shape = tuple((*key, len(items)) for key, items in zip(conditions, wanted, strict=True))
        alike[_update(tuple(values), shape)].append(
            [*values.values(), *(item for items in wanted for item in items)]
        )
    with connection.cursor() as cursor:
        return sum(
            cursor.executemany(statement, rows).rowcount for statement, rows in alike.items()
        )


@cache
def _update(changed: tuple[str, ...], shape: tuple[tuple[str, str, int], ...]) -> str:
    operators = {"": "= %s", "gte": ">= %s"}
    changes = ", ".join(f"{_quoted(name)} = %s" for name in changed)
    conditions = [
        f"{_quoted(name)} {operators.get(lookup) or 'IN (' + ', '.join(['%s'] * count) + ')'}"
        for name, lookup, count in shape
    ]
    return f"UPDATE {Job._meta.db_table} SET {changes} WHERE {' AND '.join(conditions)}"  # noqa: S608  # names of ours


@cache
def _insert(table: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(map(connection.ops.quote_name, columns))
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(columns))}) ON CONFLICT DO NOTHING"  # noqa: S608  # names of ours


def _quoted(name: str) -> str:
    return connection.ops.quote_name(str(FIELDS[name].column))


# On MongoDB


def _update_on_mongodb(updates: Iterable[Update]) -> int:
    return int(
        _collection(Job)
        .bulk_write([_operation(update) for update in updates], ordered=False)
        .matched_count
    )


def _operation(update: Update) -> UpdateOne:
    conditions = {
        str(FIELDS[name].column): {f"${lookup}": value} if lookup else value
        for (name, lookup), value in update.conditions().items()
    }
    return UpdateOne(conditions, {"$set": update.set_values()})


def _insert_on_mongodb(
    model: type[Job | Attempt | Callback], documents: Sequence[dict[str, Any]]
) -> int:
    try:
        return len(_collection(model).insert_many(documents, ordered=False).inserted_ids)
    except BulkWriteError as error:
        if error.details["writeConcernErrors"] or any(
            fault["code"] != DUPLICATE_KEY for fault in error.details["writeErrors"]
        ):
            raise
        return int(error.details["nInserted"])


def _collection(model: type[Job | Attempt | Callback]) -> Any:
    return connection.get_collection(model._meta.db_table)  # type: ignore[attr-defined]  # the MongoDB backend's own
