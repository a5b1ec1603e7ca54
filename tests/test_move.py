"""A move from store to store, as a team makes it: with processes of our own, which may be killed at
any moment.
"""

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connection

from harness.mongodb import mongodb
from harness.waiting import wait_for
from jobs.callbacks import tokens
from jobs.models import Attempt, Callback, Job
from jobs.tests.rows import all_rows, delete_rows, make_rows
from tests.conftest import ROOT, store_url, wait_until_final

pytestmark = pytest.mark.django_db(transaction=True)

# Runs commands, the last of which is killed, as by kill -9, at the Nth call of a function; with N
# 0, none is.
RUN = """
import json, os, signal, sys
import django
django.setup()
from django.core.management import call_command
from jobs.transfer import export, importing as loading

module, name, left, commands = sys.modules["jobs.transfer." + {"loading": "importing"}.get(sys.argv[1], sys.argv[1])], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
module.BATCH = 20
real = getattr(module, name)

def dying(first, second):
    global left
    left -= 1
    if not left and name == "_insert":
        real(first, second[:10])  # on MongoDB, a batch may be half written
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(first, second)

setattr(module, name, dying)
for command in commands:
    call_command(*command)
"""


def run(store, *commands, dies_at=("export", "line", 0)):
    """Run commands on a store in a process of their own, and return what they say."""
    arguments = [*map(str, dies_at), json.dumps(commands, default=str)]
    environment = {
        **os.environ,
        "DATABASE_URL": store,
        "DJANGO_SETTINGS_MODULE": "enrichlabs.settings",
        "LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-c", RUN, *arguments]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
    assert ended.returncode == (-signal.SIGKILL if dies_at[2] else 0), ended.stderr
    return ended.stdout


def said(*arguments):
    """Run a command on the store of the test."""
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="it moves from SQLite to MongoDB and back"
)
def test_a_move_to_mongodb_and_back_carries_every_row_whatever_is_killed_on_the_way(
    tmp_path, redis_client
):
    make_rows()
    rows, here = all_rows(), store_url()
    there_file, back_file = tmp_path / "there.jsonl", tmp_path / "back.jsonl"
    run(here, ("export", there_file), dies_at=("export", "line", 30))
    assert said("export", there_file).endswith("2 vendors, 12 jobs, 12 attempts, 6 callbacks.\n")
    with mongodb() as (there, _):
        run(there, ("migrate", "-v0"), ("import", there_file), dies_at=("loading", "_insert", 2))
        again = run(there, ("import", there_file), ("export", back_file))
        assert "jobs: 12 in the file, 12 read, 2 written, 12 are in the store\n" in again
    delete_rows()
    run(here, ("import", back_file), dies_at=("loading", "_insert", 3))
    assert "jobs: 12 in the file, 12 read, 0 written, 12 are in the store\n" in said(
        "import", back_file
    )
    assert all_rows() == rows


def test_open_jobs_are_done_at_the_new_store(moved, waiting, start_worker, vendor_server, client):
    start_worker()
    answer = client.post(
        callback_path(waiting), {"name": "Person 0"}, content_type="application/json"
    )
    assert answer.status_code == 200
    wait_until_final(60)
    assert set(Job.objects.values_list("status", "attempt")) == {("complete", 1)}
    wait_for(lambda: Attempt.objects.count() == 4, "the last attempts to be written")
    assert len(vendor_server.arrivals) == 4
    assert Callback.objects.count() == 1


@pytest.fixture
def waiting(start_worker, submit, make_vendor, vendor_server):
    """A job that a worker, which has ended since, left waiting for its callback; and a vendor that
    answers at once.
    """
    make_vendor("acme", url=vendor_server.url)
    make_vendor("later", adapter="async", url=vendor_server.url)
    [job] = submit(1, "later")
    worker = start_worker()
    wait_for(lambda: Job.objects.filter(pk=job.pk, status="waiting"), "the vendor to take it")
    worker.send(signal.SIGTERM)
    worker.end()
    return job


@pytest.fixture
def moved(waiting, submit, tmp_path, redis_client):
    """All is at a store and a Redis that know nothing else, and three more jobs are queued there."""
    submit(3)
    said("export", tmp_path / "rows.jsonl")
    delete_rows()
    redis_client.flushall()
    said("import", tmp_path / "rows.jsonl")


def callback_path(job):
    url = urlsplit(tokens.callback_url(job.vendor, job.pk, 1, 1))
    return f"{url.path}?{url.query}"
