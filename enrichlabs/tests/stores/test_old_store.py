"""A store that 0.1.0 wrote is refused everywhere, in one sentence that says how to move its rows.

Its migrations have the names of ours, so that Django would believe it to be up to date.
"""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pymongo
import pytest
from django.core.checks import run_checks
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from enrichlabs.config.stores import database
from enrichlabs.standalone import preflight
from enrichlabs.web import health
from harness.mongodb import SecantusDB
from harness.ports import free_port
from harness.running import ROOT, environment

HERE = Path(__file__).parent
REFUSAL = (
    "This store was written by EnrichLabs 0.1.0. Export it with that version "
    "(manage.py export FILE), start with an empty store, and import the file "
    "(manage.py import FILE)."
)


def create_on_sqlite(path: Path) -> None:
    store = sqlite3.connect(path)
    store.executescript((HERE / "store_0_1_0.sql").read_text())
    store.close()


def create_on_mongodb(url: str) -> None:
    recorded = json.loads((HERE / "store_0_1_0.json").read_text())
    applied = datetime(2026, 11, 22, tzinfo=UTC)
    with pymongo.MongoClient(url) as client:
        store = client.get_default_database()
        for table, indexes in recorded["collections"].items():
            store.create_collection(table)
            for index in indexes:
                store[table].create_index([tuple(key) for key in index.pop("keys")], **index)
        store.django_migrations.insert_many(
            {"app": app, "name": name, "applied": applied} for app, name in recorded["migrations"]
        )


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a store with the tables of 0.1.0."""
    folder = tmp_path_factory.mktemp("old")
    if request.param == "sqlite":
        create_on_sqlite(folder / "enrichlabs.sqlite3")
        yield f"sqlite://{folder}/enrichlabs.sqlite3"
        return
    server = SecantusDB(folder / "db", "--standalone")
    create_on_mongodb(server.url())
    yield server.url()
    server.kill()


GUNICORN = ["-m", "gunicorn", "-c", "python:enrichlabs.gunicorn", "-b", "127.0.0.1:0"]
PROGRAMS = {
    "server": ["-m", "enrichlabs.server"],
    "prepare": ["-m", "enrichlabs.prepare"],
    "gunicorn": [*GUNICORN, "enrichlabs.wsgi"],
    "migrate": ["manage.py", "migrate"],
    "run_worker": ["manage.py", "run_worker"],
    "export": ["manage.py", "export", "rows.jsonl"],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_refuses_it_in_one_line(url: str, program: str, tmp_path: Path) -> None:
    ports = {"PORT": free_port(), "MOCK_PORT": free_port()}
    ended = subprocess.run(
        [sys.executable, *PROGRAMS[program]],
        cwd=ROOT,
        env=environment(tmp_path, DATABASE_URL=url, **ports),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    ours = [line for line in ended.stderr.splitlines() if "gunicorn.error" not in line]
    assert ours == [f"enrichlabs: {REFUSAL}"]


@pytest.fixture
def connected(
    url: str, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """This process uses the old store."""
    connection = ConnectionHandler({"default": {}, "old": database(url, ROOT)})["old"]
    monkeypatch.setattr(preflight, "connection", connection)
    with django_db_blocker.unblock():
        yield
    getattr(connection, "close_pool", connection.close)()


@pytest.mark.usefixtures("connected")
def test_a_database_check_is_an_error() -> None:
    [issue] = run_checks(databases=["default"])
    assert (issue.id, f"{issue.msg} {issue.hint}") == ("enrichlabs.E001", REFUSAL)
    assert issue.is_serious()


@pytest.mark.usefixtures("connected")
def test_the_service_is_not_ready() -> None:
    assert health.store() == REFUSAL


def test_commands_without_a_store_are_not_refused(tmp_path: Path) -> None:
    create_on_sqlite(tmp_path / "enrichlabs.sqlite3")
    for command in (["check"], ["migrate", "--help"]):
        arguments = [sys.executable, "manage.py", *command]
        variables = environment(tmp_path)
        subprocess.run(arguments, cwd=ROOT, env=variables, capture_output=True, check=True)
