"""A vendor posts its results to one URL for the whole account: before, after or while it answers
the call that it belongs to. Each job gets its own.
"""

import hmac
import json
from threading import Thread
from urllib.request import Request, urlopen

import pytest

from harness.vendor.scripted import Answer
from harness.waiting import wait_for
from jobs.models import Attempt, Callback, Job
from jobs.recovery.sweep import Sweeper
from jobs.worker.worker import Worker
from tests.conftest import wait_until_final

JOBS = 12
SECRET = "s3cret of acme"
DEFINITION = {
    "json": {"name": "{input.name}"},
    "reference": "body.id",
    "callback": {
        "reference": "body.id",
        "result": "body.person",
        "hmac": "sha256",
        "header": "X-Signature",
        "secret_env": "VENDOR_ACME_SECRET",
    },
}


@pytest.fixture
def post(live_server):
    """Post the result of a person as the vendor does, and return the answer's status."""

    def post(name, secret=SECRET):
        body = json.dumps({"id": f"of {name}", "person": {"name": name}}).encode()
        signature = hmac.digest(secret.encode(), body, "sha256").hex()
        headers = {"X-Signature": signature, "Content-Type": "application/json"}
        with urlopen(Request(f"{live_server.url}/vendor-webhook/acme", body, headers)) as answer:
            return json.load(answer)["status"]

    return post


@pytest.fixture
def worker(make_vendor, vendor_server, redis_client, monkeypatch):
    monkeypatch.setenv("VENDOR_ACME_SECRET", SECRET)
    # Only the worker that records a reference looks for callbacks that came before.
    monkeypatch.setattr(Sweeper, "_match_callbacks", lambda sweeper: 0)
    url = f"POST {vendor_server.url}"
    make_vendor(adapter="http", url=url, required_input="", definition=DEFINITION)
    worker = Worker(threads=4)
    thread = Thread(target=worker.run)
    yield thread
    worker.stop()
    thread.join()


def test_each_job_gets_its_result_whenever_it_comes(worker, vendor_server, post, submit):
    answers, senders = {}, []

    def send(name):
        answers[name] = post(name)

    def answer(arrival):
        name = arrival.body["name"]
        when = int(name.split()[1]) % 3
        if when == 0:
            send(name)
        elif when == 1:  # at the same moment
            senders.append(Thread(target=send, args=[name]))
            senders[-1].start()
        return Answer(body={"id": f"of {name}"})

    vendor_server.answer = answer
    jobs = submit(JOBS)
    worker.start()
    after = [job.name for job in jobs if int(job.name.split()[1]) % 3 == 2]

    wait_for(lambda: Attempt.objects.count() == JOBS, "all calls to be recorded")
    for name in after:
        send(name)
    wait_until_final(30)
    for sender in senders:
        sender.join()
    assert {answers[name] for name in after} == {"applied"}
    assert set(answers.values()) <= {"applied", "unmatched"}
    results = Job.objects.values_list("name", "status", "result")
    assert all(row[1:] == ("complete", {"name": row[0]}) for row in results)
    applied = Callback.objects.filter(verdict="applied")
    wait_for(lambda: applied.count() == JOBS, "the verdicts, which MongoDB writes after the jobs")
    assert Callback.objects.count() == JOBS == len(vendor_server.arrivals)
