"""When the store does not answer, clients get a 503 within two seconds, however many there are."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest
from django.db import connection

from harness.mongodb import mongodb
from harness.running import ROOT, environment, get
from harness.waiting import wait_for
from jobs.models import Callback, Job

# 2 s, and a margin for a busy machine. A worker would wait 20 s.
IN_TIME_SECONDS = 4


def post(port, path="/jobs"):
    """Return the status, the problem code, and the seconds it took."""
    since = time.monotonic()
    client = HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"vendor": "acme", "name": "John Doe"})
    client.request("POST", path, body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    found = json.load(answer)
    client.close()
    return answer.status, found.get("code"), time.monotonic() - since


@pytest.fixture
def on_sqlite(transactional_db, serve, valkey):
    if connection.vendor != "sqlite":
        pytest.skip("about a locked file")
    return serve(DATABASE_URL=f"sqlite://{connection.settings_dict['NAME']}", REDIS_URL=valkey.url)


@contextmanager
def locked():
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


def test_requests_do_not_wait_for_a_locked_file(on_sqlite, make_vendor, make_job, redis_client):
    make_vendor()
    queued, failed = make_job(), make_job(status="failed")
    paths = ["/jobs"] * 8 + [f"/jobs/{queued.pk}/cancel", f"/jobs/{failed.pk}/retry"]
    with locked(), ThreadPoolExecutor(len(paths)) as threads:
        answers = list(threads.map(lambda path: post(on_sqlite, path), paths))
    assert [answer[:2] for answer in answers] == [(503, "store_unavailable")] * len(paths)
    assert max(seconds for _, _, seconds in answers) < IN_TIME_SECONDS
    assert post(on_sqlite)[0] == 202
    assert Job.objects.count() == 3


def test_jobs_can_be_read_while_the_file_is_locked(on_sqlite, make_job):
    job = make_job()
    with locked():
        assert get(on_sqlite, f"/jobs/{job.pk}")[0] == 200


def test_a_refused_callback_is_counted_after_the_response(on_sqlite, make_vendor, make_job):
    """So the response time reveals nothing about the job."""
    make_vendor()
    path = f"/vendor-webhook/acme/{make_job(status='waiting', attempt=1).pk}"
    with locked():
        assert post(on_sqlite, path)[:2] == (401, "unauthorized")
    post(on_sqlite, path)
    wait_for(Callback.objects.exists, "the refused callback to be counted")
    assert Callback.objects.get().reason == "token_missing"


@pytest.fixture
def stopped_mongodb(serve, valkey, tmp_path):
    """The port of a gunicorn, and the process of its MongoDB, which has stopped answering."""
    with mongodb() as (url, process):
        variables = {"DATABASE_URL": url, "REDIS_URL": valkey.url}
        run = {
            "cwd": ROOT,
            "env": environment(tmp_path, **variables),
            "check": True,
            "stdout": subprocess.DEVNULL,
        }
        (tmp_path / "vendors.toml").write_text(
            '[vendors.acme]\nadapter = "sync"\nurl = "http://127.0.0.1:9/"\n'
        )
        subprocess.run([sys.executable, "manage.py", "migrate"], **run)
        subprocess.run(
            [sys.executable, "manage.py", "load_vendors", str(tmp_path / "vendors.toml")], **run
        )
        port = serve(**variables)
        assert post(port)[0] == 202
        process.send_signal(signal.SIGSTOP)
        yield port, process
        process.send_signal(signal.SIGCONT)


def test_requests_do_not_wait_for_a_mongodb_that_hangs(stopped_mongodb):
    port, process = stopped_mongodb
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post(port), range(8)))
    assert {answer[:2] for answer in answers} == {(503, "store_unavailable")}
    assert max(seconds for _, _, seconds in answers) < IN_TIME_SECONDS
    process.send_signal(signal.SIGCONT)
    assert post(port)[0] in (202, 503)
