"""The campaign's vendor on a port of its own, somebody who takes its callbacks, and calls of it."""

import json
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice
from threading import Lock, Thread

import pytest

from chaos import ledger
from chaos.plans import plan_of
from chaos.vendor import Vendor

SEED = 7
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
JOB, OTHER = "01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"


@pytest.fixture
def vendor(tmp_path):
    server = Vendor(0, SEED, ledger.Ledger(tmp_path / "ledger"), SECRET)
    server.path = tmp_path / "ledger"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Receiver(ThreadingHTTPServer):
    """Takes callbacks, and answers them with the statuses that it is given, the last one for ever."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses, self.taken, self.lock = [200], [], Lock()
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, job=JOB, vendor="acme", attempt=3):
        return f"http://127.0.0.1:{self.server_port}/vendor-webhook/{vendor}/{job}?token=1.{attempt}.of-{job[-1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.taken.append((self.path, self.headers, body))
            status = (
                self.server.statuses.pop(0)
                if len(self.server.statuses) > 1
                else self.server.statuses[0]
            )
        self.send_response(status)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


def open_call(vendor, mood="", slug="acme", key=JOB, timeout_seconds=5, **given):
    """Send a call whose plan is plainly good, in a mood, and return the connection."""
    if mood:
        vendor.disturb(slug, mood, 60)
    connection = HTTPConnection("127.0.0.1", vendor.server_port, timeout=timeout_seconds)
    body = json.dumps({"name": "Job", "serial": serial_with(), **given})
    connection.request("POST", f"/{slug}", body, {"Idempotency-Key": key})
    return connection


def called(vendor, mood="", **given):
    """Return the status, headers and body of the answer."""
    connection = open_call(vendor, mood, **given)
    answer = connection.getresponse()
    try:
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@cache
def serial_with(callback="normal", vendor="acme"):
    """Return the number of a job whose calls all go well, and whose callbacks come soon."""
    plain = (
        serial
        for serial in count(1)
        if (plan := plan_of(SEED, serial, vendor)).callback == callback and not plan.moods
    )
    return min(islice(plain, 10), key=lambda serial: plan_of(SEED, serial, vendor).callback_seconds)


def events(vendor, kind):
    return [event for event in ledger.read_ledger(vendor.path) if isinstance(event, kind)]
