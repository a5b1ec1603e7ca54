"""A connection to MongoDB without a server: it keeps what would be sent, and answers that there is
nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections
from pymongo import UpdateOne

from enrichlabs.config.stores import database
from enrichlabs.mongodb.base import DatabaseWrapper

MANY = 1000  # what is counted: more than a page of any list


class Sent(NamedTuple):
    """One command: its collection, what it finds rows by, in which order, and all of it as it would
    be sent.
    """

    collection: str
    match: dict[str, Any]
    sort: dict[str, int]
    whole: Any


class Record(list[Sent]):
    """What was sent, and in how many round trips."""

    round_trips = 0


class Nothing:
    """A cursor over no documents, but for the number of those that are counted."""

    def __init__(self, pipeline: Any = ()) -> None:
        counts = any("$facet" in stage for stage in pipeline)
        self._documents = iter([{"__count": MANY}] if counts else [])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._documents

    def next(self) -> dict[str, Any]:
        return next(self._documents)


class Collection:
    def __init__(self, name: str, sent: Record, *, finds_all: bool) -> None:
        self._name = name
        self._sent = sent
        self._finds_all = finds_all

    def aggregate(self, pipeline: list[dict[str, Any]], session: object = None) -> Nothing:
        stages = {name: stage for each in reversed(pipeline) for name, stage in each.items()}
        self._keep(stages.get("$match", {}), dict(stages.get("$sort", {})), pipeline)
        return Nothing(pipeline)

    def find(self, match: dict[str, Any], columns: list[str]) -> Nothing:
        self._keep(match, {}, columns)
        return Nothing()

    def update_many(self, match: dict[str, Any], change: Any, session: object = None) -> Any:
        self._keep(match, {}, change)
        return SimpleNamespace(matched_count=0)

    def bulk_write(self, operations: list[UpdateOne], ordered: bool) -> Any:
        self._sent.extend(
            Sent(self._name, operation._filter, {}, operation._doc) for operation in operations
        )
        self._sent.round_trips += 1
        return SimpleNamespace(matched_count=len(operations) if self._finds_all else 0)

    def insert_many(self, documents: list[dict[str, Any]], **options: object) -> Any:
        self._keep({"_id": ""}, {}, documents)
        return SimpleNamespace(inserted_ids=[document["_id"] for document in documents])

    def _keep(self, match: dict[str, Any], sort: dict[str, int], whole: Any) -> None:
        self._sent.append(Sent(self._name, match, sort, whole))
        self._sent.round_trips += 1


@contextmanager
def recording(*, finds_all: bool = False) -> Iterator[Record]:
    """Give what the code within would send to MongoDB; `finds_all`: there is a row for each update
    of a batch.
    """
    sent = Record()

    class Recording(DatabaseWrapper):
        def get_collection(self, name: str, **options: object) -> Any:
            return Collection(name, sent, finds_all=finds_all)

        def ensure_connection(self) -> None:
            """There is none."""

    before = connections[DEFAULT_DB_ALIAS]
    settings = {
        **before.settings_dict,
        **database("mongodb://127.0.0.1:1/enrichlabs", data=before.settings_dict["NAME"]),
    }
    connections[DEFAULT_DB_ALIAS] = Recording(settings, DEFAULT_DB_ALIAS)
    try:
        yield sent
    finally:
        connections[DEFAULT_DB_ALIAS] = before


def indexes_for(sent: Sent) -> list[tuple[str, ...]]:
    """Return the indexes, by their columns, that find these rows in their order, without a scan or
    a sort.

    The rule is MongoDB's own: columns that are asked for by one value first, then the one that is
    sorted by, then a range. Only plain indexes count, for its planner does not use those that the
    backend makes for unique columns.
    """
    [model] = [model for model in apps.get_models() if model._meta.db_table == sent.collection]
    column_of = {field.name: str(field.column) for field in model._meta.concrete_fields}
    indexes = [
        ("_id",),
        *(
            tuple(column_of[name] for name, _ in index.fields_orders)
            for index in model._meta.indexes
        ),
    ]
    return [index for index in indexes if _serves(index, sent.match, tuple(sent.sort))]


def _serves(index: tuple[str, ...], match: dict[str, Any], sort: tuple[str, ...]) -> bool:
    by_value = [
        column for column in match if not isinstance(match[column], dict) or "$in" in match[column]
    ]
    leading = next(
        (place for place, column in enumerate(index) if column not in by_value), len(index)
    )
    behind = index[leading:]
    finds = not match or index[0] in match
    return finds and (not sort or behind[: len(sort)] == sort or set(sort) <= set(index[:leading]))
