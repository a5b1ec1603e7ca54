"""A MongoDB connection without a server. It records what would be sent, and finds nothing."""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model, Q
from pymongo import UpdateOne

from enrichlabs.config.stores import database
from enrichlabs.mongodb.base import DatabaseWrapper

MANY = 1000  # the result of counts: more than a page of any list


class Sent(NamedTuple):
    """A command: its collection, its condition, its order, and all of it as it would be sent."""

    collection: str
    match: dict[str, Any]
    sort: dict[str, int]
    whole: Any


class Record(list[Sent]):
    """The commands, and the number of round trips."""

    round_trips = 0


class Nothing:
    """A cursor over no documents, or over a count."""

    def __init__(self, pipeline: Any = ()) -> None:
        counts = any("$facet" in stage for stage in pipeline)
        self._documents = iter([{"__count": MANY}] if counts else [])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._documents

    def next(self) -> dict[str, Any]:
        return next(self._documents)


class Collection:
    """Records commands. With `finds_all`, every update of a bulk write matches its document."""

    def __init__(self, name: str, sent: Record, *, finds_all: bool) -> None:
        self._name = name
        self._sent = sent
        self._finds_all = finds_all

    def aggregate(self, pipeline: list[dict[str, Any]], session: object = None) -> Nothing:
        stages = {name: stage for each in reversed(pipeline) for name, stage in each.items()}
        self._record(stages.get("$match", {}), dict(stages.get("$sort", {})), pipeline)
        return Nothing(pipeline)

    def find(self, match: dict[str, Any], columns: Any) -> Nothing:
        self._record(match, {}, columns)
        return Nothing()

    def update_many(self, match: dict[str, Any], change: Any, session: object = None) -> Any:
        self._record(match, {}, change)
        return SimpleNamespace(matched_count=0)

    def bulk_write(self, operations: list[UpdateOne], ordered: bool) -> Any:
        self._sent.extend(
            Sent(self._name, operation._filter, {}, operation._doc) for operation in operations
        )
        self._sent.round_trips += 1
        return SimpleNamespace(matched_count=len(operations) if self._finds_all else 0)

    def insert_many(self, documents: list[dict[str, Any]], **options: object) -> Any:
        self._record({"_id": ""}, {}, documents)
        return SimpleNamespace(inserted_ids=[document["_id"] for document in documents])

    def _record(self, match: dict[str, Any], sort: dict[str, int], whole: Any) -> None:
        self._sent.append(Sent(self._name, match, sort, whole))
        self._sent.round_trips += 1


@contextmanager
def recording(*, finds_all: bool = False) -> Iterator[Record]:
    """Record what the code within would send to MongoDB. With `finds_all`, every update of a bulk
    write matches its document.
    """
    sent = Record()

    class Recording(DatabaseWrapper):
        def get_collection(self, name: str, **options: object) -> Any:
            return Collection(name, sent, finds_all=finds_all)

        def ensure_connection(self) -> None:
            """Connect to nothing."""

    before = connections[DEFAULT_DB_ALIAS]
    of_mongodb = database("mongodb://127.0.0.1:1/enrichlabs", data=before.settings_dict["NAME"])
    settings = {**before.settings_dict, **of_mongodb}
    connections[DEFAULT_DB_ALIAS] = Recording(settings, DEFAULT_DB_ALIAS)
    try:
        yield sent
    finally:
        connections[DEFAULT_DB_ALIAS] = before


def indexes_for(sent: Sent, *, with_partial: bool = True) -> list[tuple[str, ...]]:
    """Return the indexes, as columns, that find these rows in their order without a scan or a sort.

    MongoDB's rule: first columns compared for equality, then the sort, then a range. Indexes of
    unique columns do not count: its planner does not use those that the backend makes. A partial
    index counts if the column of its condition is compared with a text, if that is `> ''`, and else
    if the condition is repeated.
    """
    [model] = [model for model in apps.get_models() if model._meta.db_table == sent.collection]
    column_of = {field.name: str(field.column) for field in model._meta.concrete_fields}
    indexes = [("_id",)]
    for index in model._meta.indexes:
        if index.condition is None or (with_partial and _implies(sent.match, index.condition)):
            indexes.append(tuple(column_of[name] for name, _ in index.fields_orders))
    return [index for index in indexes if _serves(index, sent.match, tuple(sent.sort))]


def _implies(match: dict[str, Any], condition: Q) -> bool:
    [(name, value)] = condition.children
    assert name.endswith("__gt")
    compared = match.get(name.removesuffix("__gt"))
    if value == "":
        return isinstance(compared, str)
    return isinstance(compared, dict) and compared.get("$gt") == value.replace(tzinfo=None)


def _serves(index: tuple[str, ...], match: dict[str, Any], sort: tuple[str, ...]) -> bool:
    equal = {
        column for column, value in match.items() if not isinstance(value, dict) or "$in" in value
    }
    others = [position for position, column in enumerate(index) if column not in equal]
    prefix = others[0] if others else len(index)
    finds = not match or index[0] in match
    sorts = index[prefix : prefix + len(sort)] == sort or set(sort) <= set(index[:prefix])
    return finds and sorts


def columns(*names: str) -> dict[str, Any]:
    """Return the $project stage for these columns and the id."""
    return {"$project": dict.fromkeys(["_id", *names], 1)}


def columns_of(model: type[Model], without: Container[str] = ()) -> dict[str, Any]:
    """Return the $project stage for a model's columns, without some."""
    fields = model._meta.concrete_fields[1:]
    return columns(*(str(field.column) for field in fields if field.name not in without))
