"""What keeps a worker from working is said in one line; it looks again with pauses, and goes on when the fault is gone."""

import sqlite3

import pytest
from django.db import connection

from jobs.faults import FILE_GONE
from tests.waiting import wait_for


@pytest.mark.sqlite
def test_a_store_whose_file_was_removed(start_worker, make_vendor, tmp_path):
    make_vendor()
    store = tmp_path / "enrichlabs.sqlite3"
    copy = sqlite3.connect(store)
    connection.connection.backup(copy)
    copy.close()
    worker = start_worker(DATABASE_URL=f"sqlite://{store}")
    wait_for(lambda: "limits of acme are made" in worker.output, "the worker to ask its vendor")
    for file in tmp_path.glob("enrichlabs.sqlite3*"):
        file.unlink()
    wait_for(lambda: FILE_GONE in worker.output, "the worker to say what is wrong")
    wait_for(lambda: "the sweep's step" in worker.output, "the sweep to meet it, too")
    assert worker.output.count(FILE_GONE) == 1
    assert worker.process.poll() is None
