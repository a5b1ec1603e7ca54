"""Jobs of before there were clients belong to the client `default` after the migration, and to no
batch.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction

from tests.conftest import ROOT, store_url
from vendors.models import new_id

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OLD = {
    "vendor": "acme",
    "name": "John Doe",
    "input": '{"name":"John Doe"}',
    "status": "complete",
    "attempt": 1,
    "failures": 0,
    "crashes": 0,
    "run": 1,
    "stream": "jobs",
    "worker": "w",
    "run_token": "",
    "error_code": "",
    "error_message": "",
    "created_at": NOW,
    "queued_at": NOW,
}
ADDED = {
    "client": "default",
    "reference": "",
    "metadata": None,
    "idempotency_key": None,
    "fingerprint": "",
    "expires_at": None,
    "batch": "",
    "batch_index": None,
}


def migrate(*target: str) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "-v0", "jobs", *target]
    subprocess.run(command, env={**os.environ, "DATABASE_URL": store_url()}, check=True)


@pytest.fixture
def old_store(transactional_db: None) -> Iterator[None]:
    """The tests' store as it was before there were clients."""
    migrate("0001")
    yield
    migrate()
    connection.close()


def insert_old_rows(count: int) -> set[str]:
    rows: list[dict[str, Any]] = [{"_id": new_id(), **OLD} for _ in range(count)]
    if connection.vendor == "mongodb":
        connection.database["jobs_job"].insert_many(rows)
    else:
        names, places = ", ".join(rows[0]), ", ".join(["%s"] * len(rows[0]))
        with connection.cursor() as cursor, transaction.atomic():
            for row in rows:
                cursor.execute(
                    f"INSERT INTO jobs_job ({names}) VALUES ({places})", list(row.values())
                )
    return {row["_id"] for row in rows}


def test_old_jobs_belong_to_the_default_client(old_store: None, client: Any) -> None:
    ids = insert_old_rows(3)
    migrate()
    found = client.get("/jobs?status=complete").json()["items"]
    assert {job["request_id"] for job in found} == ids
    assert {(job["reference"], job["metadata"], job["expires_at"]) for job in found} == {
        (None, None, None)
    }
    assert rows_added() == [ADDED] * 3


def rows_added() -> list[dict[str, Any]]:
    if connection.vendor == "mongodb":
        rows = connection.database["jobs_job"].find({}, dict.fromkeys(ADDED, 1) | {"_id": 0})
        return list(rows)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(ADDED)} FROM jobs_job")
        return [dict(zip(ADDED, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.skipif(connection.vendor != "mongodb", reason="on SQLite, a migration is one commit")
def test_an_interrupted_migration_goes_on_where_it_ended(old_store: None) -> None:
    insert_old_rows(3)
    jobs = connection.database["jobs_job"]
    jobs.update_one({}, {"$set": {**ADDED, "client": "billing"}})
    migrate()
    assert sorted(row["client"] for row in jobs.find()) == ["billing", "default", "default"]
    # At the end of one: its tables exist, and it is not recorded, nor are those after it.
    jobs.update_one({}, {"$unset": {"batch": 1, "batch_index": 1}})
    done = {"app": "jobs", "name": {"$gte": "0003_batches"}}
    assert connection.database["django_migrations"].delete_many(done).deleted_count == 4
    migrate()
    assert {(row["batch"], row["batch_index"]) for row in jobs.find()} == {("", None)}
