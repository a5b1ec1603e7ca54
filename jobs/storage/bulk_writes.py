"""Bulk writes: on SQLite one statement for all rows that change alike, on MongoDB one round trip.

For a bulk write, both stores report how many updates matched a row, but not which. So each update
leaves a token in the row that it changes; if some matched none, one read of the tokens shows which
did. For inserts, one read of the ids does. On MongoDB this also covers a bulk write that is
repeated because its reply was lost: what had already happened counts as done.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache, partial
from operator import attrgetter
from typing import Any

from django.db import connection
from django.db.models import CharField, Field, IntegerField
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError

from jobs.models import Attempt, Batch, Callback, Job, RefusedItem, Tally

DUPLICATE_KEY = 11000
FIELDS = {field.name: field for field in Job._meta.concrete_fields}
OPERATORS = {"": "= %s", "gte": ">= %s", "is": "IS %s"}

Row = Job | Attempt | Callback | Batch | RefusedItem | Tally


@dataclass(frozen=True)
class Update:
    """A change of one job, made if the job still meets `condition`. `token` identifies this update.

    A condition's key is a field's name, optionally followed by `__in` or `__gte`.
    """

    job_id: str
    condition: dict[str, Any]
    changes: dict[str, Any]
    token: str

    def set_values(self) -> dict[str, Any]:
        """Return the values to write by field, prepared for the store."""
        changes = {**self.changes, "run_token": self.token}
        return {name: _prepared(FIELDS[name], value) for name, value in changes.items()}

    def conditions(self) -> dict[tuple[str, str], Any]:
        """Return the required values by field and lookup (``, `in` or `gte`), prepared for the
        store.
        """
        found = {("id", ""): _prepared(FIELDS["id"], self.job_id)}
        for key, value in self.condition.items():
            name, _, lookup = key.partition("__")
            found[name, lookup] = _prepared(FIELDS[name], value)
        return found


def update_each(updates: Sequence[Update]) -> list[bool]:
    """Make the updates, and return for each whether it matched its row."""
    if not updates:
        return []  # MongoDB's driver rejects an empty bulk write
    write = _update_on_mongodb if connection.vendor == "mongodb" else _update_in_sql
    if write(updates) == len(updates):
        return [True] * len(updates)
    jobs = Job.objects.filter(pk__in=[update.job_id for update in updates])
    tokens = dict(jobs.values_list("pk", "run_token"))
    return [tokens.get(update.job_id) == update.token for update in updates]


def insert_each(rows: Sequence[Row]) -> list[bool]:
    """Insert rows of one model, and return for each whether it is stored; False means that another
    row has its unique key.
    """
    model = type(rows[0])
    write = _insert_on_mongodb if connection.vendor == "mongodb" else _insert_in_sql
    if write(model, rows) == len(rows):
        return [True] * len(rows)
    stored = model._default_manager.filter(pk__in=[row.pk for row in rows])
    ids = set(stored.values_list("pk", flat=True))
    return [row.pk in ids for row in rows]


def replace_each(rows: Sequence[Row]) -> None:
    """Write whole rows of one model, whether or not they are stored already. To repeat it changes
    nothing.
    """
    model = type(rows[0])
    write = _replace_on_mongodb if connection.vendor == "mongodb" else _replace_in_sql
    write(model, rows)


def _prepared(field: "Field[Any, Any]", value: Any) -> Any:
    """Return the value as the store takes it; texts and numbers need no preparation."""
    if value is None or isinstance(field, CharField | IntegerField):
        return value
    if isinstance(value, datetime):
        return _prepared_datetime(field, value, connection.vendor)
    return field.get_db_prep_save(value, connection)


@lru_cache  # a bulk write repeats the same few datetimes
def _prepared_datetime(field: "Field[Any, Any]", value: datetime, store: str) -> Any:
    return field.get_db_prep_save(value, connection)


def _columns(model: type[Row]) -> list[str]:
    return [str(field.column) for field in model._meta.concrete_fields]


def _values(row: Row) -> list[Any]:
    read, places = _plan(type(row))
    values = list(read(row))
    for place, prepare in places.items():
        values[place] = prepare(values[place])
    return values


@cache
def _plan(model: type[Row]) -> tuple[Callable[[Row], Any], dict[int, Callable[[Any], Any]]]:
    """Return what reads all values of a row, and by place what prepares those that need it."""
    fields = model._meta.concrete_fields
    unique = {name for each in model._meta.constraints for name in getattr(each, "fields", ())}
    prepared: dict[int, Callable[[Any], Any]] = {}
    for place, field in enumerate(fields):
        if isinstance(field, IntegerField) and field.name in unique:
            # MongoDB's unique indexes have only numbers of 64 bits.
            prepared[place] = partial(field.get_db_prep_save, connection=connection)
        elif not isinstance(field, CharField | IntegerField):
            prepared[place] = partial(_prepared, field)
    return attrgetter(*(field.attname for field in fields)), prepared


# In SQL


def _update_in_sql(updates: Iterable[Update]) -> int:
    rows_by_statement: dict[str, list[list[Any]]] = defaultdict(list)
    for update in updates:
        values, conditions = update.set_values(), update.conditions()
        required = [item if lookup == "in" else [item] for (_, lookup), item in conditions.items()]
        shape = tuple(
            (name, "is" if items == [None] else lookup, len(items))
            for (name, lookup), items in zip(conditions, required, strict=True)
        )
        row = [*values.values(), *(item for items in required for item in items)]
        rows_by_statement[_update(tuple(values), shape)].append(row)
    with connection.cursor() as cursor:
        return sum(
            cursor.executemany(statement, rows).rowcount
            for statement, rows in rows_by_statement.items()
        )


@cache
def _update(changed: tuple[str, ...], shape: tuple[tuple[str, str, int], ...]) -> str:
    changes = ", ".join(f"{_quoted(name)} = %s" for name in changed)
    conditions = [
        f"{_quoted(name)} {OPERATORS.get(lookup) or 'IN (' + ', '.join(['%s'] * count) + ')'}"
        for name, lookup, count in shape
    ]
    where = " AND ".join(conditions)
    return f"UPDATE {Job._meta.db_table} SET {changes} WHERE {where}"  # noqa: S608 - our names


def _insert_in_sql(model: type[Row], rows: Sequence[Row]) -> int:
    with connection.cursor() as cursor:
        count: int = cursor.executemany(_insert(model), [_values(row) for row in rows]).rowcount
    return count


@cache
def _insert(model: type[Row]) -> str:
    names = ", ".join(map(connection.ops.quote_name, _columns(model)))
    values = ", ".join(["%s"] * len(_columns(model)))
    table = model._meta.db_table
    return f"INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT DO NOTHING"  # noqa: S608 - our names


def _replace_in_sql(model: type[Row], rows: Sequence[Row]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(_replace(model), [_values(row) for row in rows])


@cache
def _replace(model: type[Row]) -> str:
    key, *others = map(connection.ops.quote_name, _columns(model))
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    insert = _insert(model).removesuffix("DO NOTHING")
    return f"{insert.strip()} ({key}) DO UPDATE SET {changes}"


def _quoted(name: str) -> str:
    return connection.ops.quote_name(str(FIELDS[name].column))


# On MongoDB


def _update_on_mongodb(updates: Iterable[Update]) -> int:
    operations = [_operation(update) for update in updates]
    return int(_collection(Job).bulk_write(operations, ordered=False).matched_count)


def _operation(update: Update) -> UpdateOne:
    conditions = {
        str(FIELDS[name].column): {f"${lookup}": value} if lookup else value
        for (name, lookup), value in update.conditions().items()
    }
    return UpdateOne(conditions, {"$set": update.set_values()})


def _insert_on_mongodb(model: type[Row], rows: Sequence[Row]) -> int:
    columns = _columns(model)
    documents = [dict(zip(columns, _values(row), strict=True)) for row in rows]
    try:
        return len(_collection(model).insert_many(documents, ordered=False).inserted_ids)
    except BulkWriteError as error:
        codes = {each["code"] for each in error.details["writeErrors"]}
        if error.details["writeConcernErrors"] or codes - {DUPLICATE_KEY}:
            raise
        return int(error.details["nInserted"])


def _replace_on_mongodb(model: type[Row], rows: Sequence[Row]) -> None:
    columns = _columns(model)
    documents = [dict(zip(columns, _values(row), strict=True)) for row in rows]
    writes = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]
    _collection(model).bulk_write(writes, ordered=False)


def _collection(model: type[Row]) -> Any:
    return connection.get_collection(model._meta.db_table)  # type: ignore[attr-defined]  # MongoDB's
