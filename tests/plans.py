"""Asserts that reads use an index, in its order, and read no further than needed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.db import connection
from django.test.utils import CaptureQueriesContext

from enrichlabs.mongodb.query import FlatQuery
from tests.mongodb_recording import Sent, indexes_for


@contextmanager
def reads_of(table: str) -> Iterator[list[Any]]:
    """Record the reads of a table: statements on SQLite, pipelines on MongoDB."""
    reads: list[Any] = []
    record = _statements if connection.vendor == "sqlite" else _pipelines
    with record(table, reads):
        yield reads


@contextmanager
def _statements(table: str, reads: list[Any]) -> Iterator[None]:
    with CaptureQueriesContext(connection) as queries:
        yield
    reads += [query["sql"] for query in queries if f'FROM "{table}' in query["sql"]]


@contextmanager
def _pipelines(table: str, reads: list[Any]) -> Iterator[None]:
    get_cursor = FlatQuery.get_cursor

    def record(query: FlatQuery) -> Any:
        if query.compiler.collection_name.startswith(table):
            reads.append((query.compiler.collection_name, query.get_pipeline()))
        return get_cursor(query)

    with patch.object(FlatQuery, "get_cursor", record):
        yield


def used_indexes(statement: str) -> set[str]:
    """Return the indexes that SQLite searches for a statement on our tables. Fails if it scans or
    sorts one.
    """
    plan = plan_of(statement).splitlines()
    assert not any("B-TREE" in step for step in plan), plan
    steps = [step for step in plan if step.startswith(("SCAN", "SEARCH")) and "jobs_" in step]
    found = [re.match(r"SEARCH .* USING (?:COVERING )?INDEX (\w+)", step) for step in steps]
    assert found, plan
    assert all(found), plan
    return {index[1] for index in found if index}


def plan_of(statement: str) -> str:
    """Return SQLite's plan for a statement, a step a line."""
    with connection.cursor() as cursor:
        steps = cursor.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    return "\n".join(step[3] for step in steps)


def assert_quick(reads: list[Any], *, finds: bool) -> None:
    """Assert that none scans or sorts a table and, with `finds`, that none scans a whole index."""
    assert reads
    is_sqlite = connection.vendor == "sqlite"
    check = _assert_quick_on_sqlite if is_sqlite else _assert_quick_on_mongodb
    for read in reads:
        check(read, finds)


def _assert_quick_on_sqlite(statement: str, finds: bool) -> None:
    assert "LIMIT" in statement or '"_id" = ' in statement
    plan = plan_of(statement).splitlines()
    steps = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    steps = [step for step in steps if "SUBQUERY" not in step.upper()]
    assert steps
    assert all(" USING " in step for step in steps), plan
    assert not any("B-TREE" in step for step in plan), plan
    assert not finds or all(step.startswith("SEARCH") for step in steps), plan


def _assert_quick_on_mongodb(read: tuple[str, list[dict[str, Any]]], finds: bool) -> None:
    collection, pipeline = read
    stages = {name: stage for each in reversed(pipeline) for name, stage in each.items()}
    match = stages.get("$match", {})
    is_one = "_id" in match and not isinstance(match["_id"], dict)
    assert is_one or "$limit" in stages
    sent = Sent(collection, match, stages.get("$sort", {}), pipeline)
    assert indexes_for(sent), pipeline
    # The tests' server uses an index only if it begins with exactly these columns, and no range of
    # ids. It never uses a partial one.
    indexes = indexes_for(sent, with_partial=False)
    is_prefix = any(set(index[: len(match)]) == match.keys() for index in indexes)
    if match and is_prefix and not isinstance(match.get("_id"), dict):
        query = {"aggregate": collection, "pipeline": pipeline, "cursor": {}}
        explained = str(connection.database.command("explain", query))
        assert "IXSCAN" in explained, explained
        assert "COLLSCAN" not in explained, explained
