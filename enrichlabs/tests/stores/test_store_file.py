"""The store's file is removed, moved or replaced while in use: no job is accepted and lost."""

import json
import os
import shutil
import sqlite3
from pathlib import Path
from threading import Thread

import pytest
from django.db import OperationalError, connection

from enrichlabs.sqlite.base import DatabaseWrapper
from enrichlabs.tests.stores.test_store_away import post
from harness.running import get
from jobs.storage.errors import FILE_GONE

pytestmark = pytest.mark.sqlite


def rows(path: Path) -> int:
    copy = sqlite3.connect(path)
    try:
        return int(copy.execute("SELECT count(*) FROM jobs_job").fetchone()[0])
    finally:
        copy.close()


@pytest.fixture
def store(transactional_db, make_vendor, tmp_path):
    """A copy of the store in a folder of its own, with one vendor and no jobs."""
    make_vendor()
    path = tmp_path / "store" / "enrichlabs.sqlite3"
    path.parent.mkdir()
    copy = sqlite3.connect(path)
    connection.connection.backup(copy)
    copy.close()
    return path


def remove(path):
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def remove_log(path):
    Path(f"{path}-wal").unlink()


def remove_folder(path):
    shutil.rmtree(path.parent)


def move(path):
    path.parent.rename(path.parent.with_name("moved"))


def replace(path):
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    os.replace(copy, path)


@pytest.mark.parametrize("harm", [remove, remove_log, remove_folder, move, replace])
def test_no_job_is_accepted_when_the_file_is_gone(serve, store, valkey, harm):
    port = serve(DATABASE_URL=f"sqlite://{store}", REDIS_URL=valkey.url)
    assert [post(port)[0] for _ in range(4)] == [202] * 4
    harm(store)
    assert {post(port)[:2] for _ in range(40)} == {(503, "store_unavailable")}
    assert {json.loads(get(port, "/jobs")[1])["detail"] for _ in range(5)} == {FILE_GONE}
    status, body = get(port, "/readyz")
    assert status == 503
    assert json.loads(body)["store"].startswith("The store's file")


def test_no_empty_file_is_created_in_its_place(serve, store, valkey):
    port = serve(DATABASE_URL=f"sqlite://{store}", REDIS_URL=valkey.url)
    assert post(port)[0] == 202
    remove(store)
    assert {post(port)[0] for _ in range(40)} == {503}
    assert list(store.parent.iterdir()) == []


def test_connections_that_close_at_the_same_time_do_not_look_like_a_removed_log(store):
    """The last one to close takes the log away."""
    failures = []

    def open_and_close():
        own = DatabaseWrapper({**connection.settings_dict, "NAME": str(store)})
        try:
            for _ in range(500):
                with own.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM jobs_job")
                own.close()
        except OperationalError as error:
            failures.append(str(error))

    threads = [Thread(target=open_and_close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_file_that_is_moved_back_is_used_again(serve, store, valkey):
    port = serve(DATABASE_URL=f"sqlite://{store}", REDIS_URL=valkey.url)
    assert post(port)[0] == 202
    away = store.parent.with_name("away")
    store.parent.rename(away)
    assert post(port)[0] == 503
    away.rename(store.parent)
    assert post(port)[0] == 202
    assert rows(store) == 2
