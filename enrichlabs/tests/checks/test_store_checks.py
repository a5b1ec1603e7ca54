"""Checks of the store: whether it answers, its migrations and its indexes."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionHandler

from enrichlabs.config.stores import database
from enrichlabs.standalone import preflight
from enrichlabs.tests.checks.issues import found
from harness.running import ROOT

pytestmark = pytest.mark.usefixtures("well_configured")


def drop_index(table: str, name: str) -> None:
    if connection.vendor == "mongodb":
        connection.get_collection(table).drop_index(name)
    else:
        connection.cursor().execute(f"DROP INDEX {name}")


def follow(hint: str) -> None:
    """Run the statement of the hint in the store."""
    if connection.vendor == "mongodb":
        table, columns, options = re.match(
            r"Create it: db\.(\w+)\.createIndex\(({.*?}), ({.*})\)$", hint
        ).groups()
        connection.get_collection(table).create_index(
            list(json.loads(columns).items()), **json.loads(options)
        )
    else:
        connection.cursor().execute(hint.removeprefix("Create it: "))


def index_warnings() -> list[tuple[str, str]]:
    issues = run_checks(databases=["default"])
    return [(issue.msg, issue.hint) for issue in issues if issue.id == "enrichlabs.W003"]


@pytest.mark.parametrize(
    ("table", "name", "columns"),
    [("jobs_job", "job_due", "status, not_before"), ("vendors_vendor", "vendor_slug", "slug")],
)
def test_a_dropped_index_is_reported_with_a_statement_that_creates_it(
    transactional_db: None, table: str, name: str, columns: str
) -> None:
    drop_index(table, name)
    if (table, connection.vendor) == ("vendors_vendor", "sqlite"):
        # Queries use the unique index instead.
        assert index_warnings() == []
        connection.cursor().execute("CREATE INDEX vendor_slug ON vendors_vendor (slug)")
        return
    [(message, hint)] = index_warnings()
    assert message == f"The table {table} has no index on {columns}."
    assert found() == ["enrichlabs.W003"]
    assert found(databases=["default"]) == ["enrichlabs.W003"]
    follow(hint)
    assert index_warnings() == []


CONDITIONAL = [
    ("job_reference", "partial index", "client, reference, _id"),
    ("job_idempotency_key", "partial index", "client, idempotency_key"),
    ("job_idempotency_key_unique", "partial unique index", "client, idempotency_key"),
]


@pytest.mark.parametrize(("name", "kind", "columns"), CONDITIONAL)
def test_a_dropped_partial_index_is_reported_with_a_statement_that_creates_it(
    transactional_db: None, name: str, kind: str, columns: str
) -> None:
    before = details(name)
    drop_index("jobs_job", name)
    if (name, connection.vendor) == ("job_idempotency_key", "sqlite"):
        # Queries use the unique index instead.
        assert index_warnings() == []
        connection.cursor().execute(before)
        return
    [(message, hint)] = index_warnings()
    assert message == f"The table jobs_job has no {kind} on {columns}."
    follow(hint)
    assert index_warnings() == []
    assert details(name) == before


@pytest.mark.parametrize("name", ["job_reference", "job_idempotency_key_unique"])
def test_an_index_of_all_rows_or_of_others_is_not_a_partial_one(
    transactional_db: None, name: str
) -> None:
    [columns] = [columns for each, _, columns in CONDITIONAL if each == name]
    for condition in ("", "fingerprint"):
        drop_index("jobs_job", name)
        create_partial_index(name, columns.split(", "), condition)
        [(message, hint)] = index_warnings()
        assert columns in message
        drop_index("jobs_job", name)
        follow(hint)
        assert index_warnings() == []


def details(name: str) -> object:
    """Return all that the store knows about an index of jobs."""
    if connection.vendor == "mongodb":
        return connection.get_collection("jobs_job").index_information()[name]
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [name])
        return cursor.fetchone()[0]


def create_partial_index(name: str, columns: list[str], condition: str) -> None:
    if connection.vendor == "mongodb":
        where = {"partialFilterExpression": {condition: {"$gt": ""}}} if condition else {}
        keys = [(column, 1) for column in columns]
        connection.get_collection("jobs_job").create_index(keys, name=name, **where)
    else:
        where = f" WHERE {condition} > ''" if condition else ""
        listed = ", ".join(f'"{column}"' for column in columns)
        connection.cursor().execute(f"CREATE INDEX {name} ON jobs_job ({listed}){where}")


def test_an_index_with_the_right_name_on_other_columns_is_reported(transactional_db: None) -> None:
    drop_index("jobs_job", "job_due")
    if connection.vendor == "mongodb":
        connection.get_collection("jobs_job").create_index(
            [("status", 1), ("not_before", -1)], name="job_due"
        )
    else:
        connection.cursor().execute(
            'CREATE INDEX job_due ON "jobs_job" ("status", "not_before" DESC)'
        )
    [(message, hint)] = index_warnings()
    assert "no index on status, not_before" in message
    drop_index("jobs_job", "job_due")
    follow(hint)


@pytest.mark.skipif(
    connection.vendor != "mongodb", reason="on SQLite unique columns are part of the table"
)
@pytest.mark.parametrize(
    ("table", "column", "is_unique"),
    [("auth_user", "username", False), ("jobs_callback", "key", True)],
)
def test_an_index_that_only_mongodb_has_is_reported_when_dropped(
    transactional_db: None, table: str, column: str, is_unique: bool
) -> None:
    indexes = connection.get_collection(table).index_information()
    [name] = [
        name
        for name, each in indexes.items()
        if each["key"] == [(column, 1)] and each.get("unique", False) == is_unique
    ]
    drop_index(table, name)
    [(message, hint)] = index_warnings()
    assert message == f"The table {table} has no {'unique ' if is_unique else ''}index on {column}."
    follow(hint)
    assert index_warnings() == []


def test_an_unapplied_migration_is_reported_except_by_migrate(db: None) -> None:
    recorder = MigrationRecorder(connection)
    last = MigrationExecutor(connection).loader.graph.leaf_nodes("jobs")[0]
    recorder.record_unapplied(*last)
    try:
        assert found() == ["enrichlabs.W002"]
        assert found(deploy=False, databases=["default"]) == []
    finally:
        recorder.record_applied(*last)


@pytest.fixture
def no_store(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    nowhere = database("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", ROOT)
    connection = ConnectionHandler({"default": {}, "away": nowhere})["away"]
    monkeypatch.setattr(preflight, "connection", connection)
    yield
    connection.close_pool()  # the backend would keep it under the alias


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize("databases", [None, ["default"]])
def test_a_store_that_does_not_answer_is_reported_once(databases: list[str] | None) -> None:
    assert found(databases=databases) == ["enrichlabs.E001"]


@pytest.mark.usefixtures("no_store")
def test_migrate_fails_without_a_store() -> None:
    with pytest.raises(SystemCheckError, match=r"\(127.0.0.1:1\)"):
        call_command("migrate", skip_checks=False)


@pytest.mark.usefixtures("no_store")
def test_a_plain_check_contacts_no_server(redis_at: Callable[[str], None]) -> None:
    redis_at("redis://127.0.0.1:1")
    assert found(deploy=False) == []
