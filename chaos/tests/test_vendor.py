"""The campaign's vendor: its ledger, its control endpoint, and what it refuses."""

import json
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection

import pytest

from chaos import ledger
from chaos.ledger import Answered, Arrival, Callback
from chaos.plans import answer_of
from chaos.tests.conftest import JOB, SEED, called, events, serial_with
from harness.waiting import wait_for


def test_the_ledger_records_arrivals_and_answers(vendor, receiver):
    began = time.time()
    called(vendor, callback_url=receiver.callback_url(attempt=12))
    called(vendor, "503")
    first, second = events(vendor, Arrival)
    assert first == Arrival(first.at, "acme", JOB, 1, serial_with(), "ok", 12, "127.0.0.1")
    assert (second.number, second.mood, second.attempt) == (2, "503", None)
    assert began <= first.at <= second.at <= time.time()
    wait_for(lambda: len(events(vendor, Answered)) == 2, "both answers")
    answers = sorted((one.status, one.whole, one.charged) for one in events(vendor, Answered))
    assert answers == [(202, True, True), (503, True, False)]


def test_an_incomplete_line_of_the_ledger_is_ignored(tmp_path):
    event = Callback(1.5, "acme", JOB, 1, "genuine", "TimeoutError")
    ledger.Ledger(tmp_path / "ledger").write(event)
    with (tmp_path / "ledger").open("ab") as file:
        file.write(b'{"event": "arrival", "at": 1')
    assert list(ledger.read_ledger(tmp_path / "ledger")) == [event]


def test_a_mood_can_be_imposed_on_a_vendor_for_a_while(vendor):
    control = HTTPConnection("127.0.0.1", vendor.port)

    def put(mood, seconds):
        control.request(
            "POST", "/control", json.dumps({"vendor": "acme", "mood": mood, "seconds": seconds})
        )
        answer = control.getresponse()
        return answer.status, answer.read().decode()

    assert put("denied", 60) == (200, "{}")
    assert [called(vendor)[0], called(vendor, slug="other")[0]] == [401, 200]
    put("503", 0.1)
    wait_for(lambda: called(vendor)[0] == 200, "the fault to be over")
    assert "Unknown mood 'sad'" in put("sad", 60)[1]
    control.request("GET", "/control")
    assert json.load(control.getresponse()) == {"calls": vendor.calls, "callbacks_open": 0}


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"name": "Job", "serial": "x"}', '{"name": "Job"']
)
def test_an_invalid_call_is_refused_and_not_counted(vendor, body):
    connection = HTTPConnection("127.0.0.1", vendor.port)
    connection.request("POST", "/acme", body)
    assert (connection.getresponse().status, vendor.calls) == (400, 0)


def test_it_runs_as_a_process_until_sigterm(tmp_path):
    arguments = ["--port=0", f"--seed={SEED}", f"--ledger={tmp_path / 'ledger'}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "chaos.vendor", *arguments], stdout=subprocess.PIPE, text=True
    )
    port = int(process.stdout.readline().rpartition(":")[2])
    connection = HTTPConnection("127.0.0.1", port)
    connection.request(
        "POST",
        "/acme",
        json.dumps({"name": "Job", "serial": serial_with()}),
        {"Idempotency-Key": JOB},
    )
    assert json.load(connection.getresponse())["answer"] == answer_of(SEED, JOB)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
