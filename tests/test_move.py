"""Moving all rows to another store, with real processes that may be killed at any moment."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from harness.mongodb import mongodb
from harness.waiting import wait_for
from jobs.callbacks import tokens
from jobs.models import Attempt, Callback, Job
from jobs.tests.rows import all_rows, delete_rows, make_rows
from jobs.tests.transfer import fixtures
from tests.conftest import ROOT, store_url, wait_until_final
from vendors.models import Vendor

pytestmark = pytest.mark.django_db(transaction=True)

# Runs commands, the last of which kills itself (kill -9) at the Nth call of a function of
# jobs.transfer, unless N is 0.
RUN = """
import json, os, signal, sys
import django
django.setup()
from django.core.management import call_command
from jobs.transfer import export, importing

module, name = sys.modules["jobs.transfer." + sys.argv[1]], sys.argv[2]
left, commands = int(sys.argv[3]), json.loads(sys.argv[4])
setattr(module, "ROWS_PER_QUERY" if hasattr(module, "ROWS_PER_QUERY") else "CHUNK", 20)
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


def run(store, *commands, dies_at=("export", "row_line", 0)):
    """Run commands on a store in a process of their own. Return their output."""
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


def output_of(*arguments):
    """Run a command on the store of the test. Return its output."""
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="it moves from SQLite to MongoDB and back"
)
def test_move_to_mongodb_and_back_carries_every_row_despite_kills(tmp_path, redis_client):
    make_rows()
    rows, here = all_rows(), store_url()
    there_file, back_file = tmp_path / "there.jsonl", tmp_path / "back.jsonl"
    run(here, ("export", there_file), dies_at=("export", "row_line", 30))
    finished = "2 refused items, 12 jobs, 12 attempts, 6 callbacks.\n"
    assert output_of("export", there_file).endswith(finished)
    with mongodb() as (there, _):
        migrate, load = ("migrate", "-v0"), ("import", there_file)
        run(there, migrate, load, dies_at=("importing", "_insert", 5))
        output = run(there, load, ("export", back_file))
        assert "jobs: 12 in the file, 12 read, 2 written, 12 in the store\n" in output
    delete_rows()
    run(here, ("import", back_file), dies_at=("importing", "_insert", 6))
    output = output_of("import", back_file)
    assert "jobs: 12 in the file, 12 read, 0 written, 12 in the store\n" in output
    assert all_rows() == rows


def test_open_jobs_are_finished_at_the_new_store(
    moved, waiting, start_worker, vendor_server, client
):
    start_worker()
    path = path_of(tokens.callback_url(waiting.vendor, waiting.pk, 1, 1))
    answer = client.post(path, {"name": "Person 0"}, content_type="application/json")
    assert answer.status_code == 200
    wait_until_final(60)
    assert set(Job.objects.values_list("status", "attempt")) == {("complete", 1)}
    wait_for(lambda: Attempt.objects.count() == 4, "the last attempts to be written")
    assert len(vendor_server.arrivals) == 4
    assert Callback.objects.count() == 1


def test_open_jobs_of_release_0_1_0_are_finished(
    released, start_worker, vendor_server, client, settings
):
    settings.CALLBACK_SECRETS = [fixtures.CALLBACK_SECRET]
    answers = [
        client.post(path_of(url), {"info": "done"}, content_type="application/json").status_code
        for url in fixtures.CALLBACK_URLS
    ]
    assert answers == [200, 200]
    start_worker()
    wait_until_final(60)
    assert {job.pk: job.status for job in Job.objects.all()} == {
        **released,
        **{
            pk: "complete"
            for pk, status in released.items()
            if status not in ("failed", "cancelled")
        },
    }
    called = [arrival.body["name"] for arrival in vendor_server.arrivals]
    assert sorted(called) == ["John Doe", "John Doe", "Queued", "Retried"]


@pytest.fixture
def released(vendor_server, redis_client):
    """The rows of release 0.1.0, at vendors that respond, before their deadlines. The statuses of
    the jobs by id.
    """
    output_of("import", fixtures.RELEASE)
    Vendor.objects.filter(adapter="sync").update(
        url=vendor_server.url, paused=False, paused_until=None
    )
    Job.objects.filter(status="waiting").update(deadline_at=timezone.now() + timedelta(hours=1))
    return dict(Job.objects.values_list("pk", "status"))


@pytest.fixture
def waiting(start_worker, submit, make_vendor, vendor_server):
    """A job that waits for its callback after its worker has stopped, and a second vendor that
    answers at once.
    """
    make_vendor("acme", url=vendor_server.url)
    make_vendor("later", adapter="async", url=vendor_server.url)
    [job] = submit(1, "later")
    worker = start_worker()
    wait_for(lambda: Job.objects.filter(pk=job.pk, status="waiting"), "the vendor to accept it")
    worker.send(signal.SIGTERM)
    worker.end()
    return job


@pytest.fixture
def moved(waiting, submit, tmp_path, redis_client):
    """All rows, with three more queued jobs, in an empty store beside an empty Redis."""
    submit(3)
    output_of("export", tmp_path / "rows.jsonl")
    delete_rows()
    redis_client.flushall()
    output_of("import", tmp_path / "rows.jsonl")


def path_of(url):
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"
