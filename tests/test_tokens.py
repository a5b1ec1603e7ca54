"""A vendor that wants a token at each call: one request for it serves all threads, no job pays for
a token that has ended, and nobody gets to see one.
"""

import os
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Thread

import pytest
from django.core.management import call_command
from django.db import connections

from harness.vendor.scripted import Answer
from harness.vendor.tokens import CLIENT, SECRET, TOKEN_PATH, TokenVendor
from harness.waiting import wait_for
from jobs.models import Attempt, Job
from jobs.worker.worker import Worker
from tests.conftest import statuses, wait_until_final
from vendors.models import Credential, Vendor

pytestmark = [pytest.mark.sqlite, pytest.mark.usefixtures("transactional_db", "redis_client")]

THREADS = int(os.environ.get("TOKEN_THREADS", "50"))
ALL_THREADS = 3 * THREADS // 2  # of a worker: a third stays free for other vendors


@pytest.fixture
def snov(monkeypatch, make_vendor, redis_client):
    """A vendor whose server issues tokens, and repeats them in its answers."""
    monkeypatch.setenv("VENDOR_SNOV_ID", CLIENT)
    monkeypatch.setenv("VENDOR_SNOV_SECRET", SECRET)
    server = TokenVendor()
    server.redis = redis_client
    server.work = lambda arrival: Answer(body={"you": arrival.headers["authorization"]})
    url = server.url.rstrip("/")
    names = {"id_env": "VENDOR_SNOV_ID", "secret_env": "VENDOR_SNOV_SECRET"}
    oauth2 = {"token_url": url + TOKEN_PATH, **names}
    Credential.objects.create(slug="snov", definition={"oauth2": oauth2})
    definition = {
        "credential": "snov",
        "json": {"name": "{input.name}"},
        "check": {"url": f"GET {url}/me"},
    }
    make_vendor("snov", adapter="http", url=f"POST {url}/verify", definition=definition)
    yield server
    server.stop()


@pytest.fixture
def run_worker():
    """Start a worker with as many threads as wanted, in this process."""
    worker = Worker(threads=ALL_THREADS)

    def run():
        worker.run()
        connections.close_all()

    thread = Thread(target=run)
    yield thread.start
    worker.stop()
    thread.join(30)


def outcomes():
    found = list(Attempt.objects.values_list("outcome", flat=True))
    return {outcome: found.count(outcome) for outcome in set(found)}


def test_one_request_replaces_a_token_that_fifty_threads_find_refused(
    snov, submit, run_worker, capfd, caplog
):
    submit(1, "snov")
    run_worker()
    wait_until_final()
    [key] = snov.redis.keys("enrich:credential:*:token:*")
    snov.redis.pexpire(key, 3_500_000)  # 100 s old
    snov.forget_tokens()
    # All of them call with the old token before any of them is answered.
    everybody, work = Barrier(THREADS), snov.answer

    def refuse_together(arrival):
        if snov.issued[0] in arrival.headers.get("authorization", ""):
            with suppress(BrokenBarrierError):
                everybody.wait(5)
        return work(arrival)

    snov.answer = refuse_together
    submit(THREADS, "snov")
    wait_until_final(60)
    assert statuses() == ["complete"] * (THREADS + 1)
    assert len(snov.asked) == 2
    assert outcomes() == {"found": THREADS + 1, "token_refused": THREADS}
    assert set(Job.objects.values_list("failures", flat=True)) == {0}
    assert set(map(str, Job.objects.values_list("result", flat=True))) == {"{'you': 'Bearer ***'}"}
    shown = [*Attempt.objects.values_list("reply", "message"), *Job.objects.values_list()]
    shown += [Vendor.objects.values_list(), Credential.objects.values_list(), caplog.text]
    shown += [capfd.readouterr(), snov.redis.hgetall(key)]
    assert not [token for token in (*snov.issued, SECRET) if token in str(shown)]


def test_a_refused_client_pauses_the_vendor_and_calls_nobody(snov, submit, run_worker, monkeypatch):
    monkeypatch.setenv("VENDOR_SNOV_SECRET", "wrong")
    submit(6, "snov")
    run_worker()
    wait_for(lambda: Vendor.objects.get().paused, "the vendor to be paused")
    wait_for(outcomes, "the answers to be recorded")
    assert outcomes().keys() == {"auth"}
    assert snov.calls() == []
    assert "failed" not in statuses()
    message = Attempt.objects.values_list("message", flat=True)[0]
    assert "(status 401, invalid_client). Check its URL and VENDOR_SNOV_ID and" in message


def test_a_new_token_that_is_refused_speaks_against_our_credentials(snov, submit, run_worker):
    snov.work = lambda arrival: Answer(401)
    submit(4, "snov")
    run_worker()
    wait_for(lambda: Vendor.objects.get().paused, "the vendor to be paused")
    wait_for(outcomes, "the answers to be recorded")
    assert outcomes().keys() == {"auth"}
    assert len(snov.asked) == 1


def test_a_call_by_hand_shows_no_token(snov, capsys):
    for command in (["check", "snov"], ["try", "snov", "--input", '{"name": "A"}']):
        call_command("vendor", *command)
    shown = capsys.readouterr().out
    assert "/verify" in shown
    assert "***" in shown
    assert not [token for token in (*snov.issued, SECRET, CLIENT) if token in shown]
    assert [arrival.path for arrival in snov.calls()] == ["/me", "/verify"]
    assert len(snov.asked) == 1
