"""The campaign's vendor, a receiver of its callbacks, and ways to call the vendor."""

import json
from functools import cache
from http.client import HTTPConnection
from itertools import count, islice

import pytest

from chaos import ledger
from chaos.plans import plan_of
from chaos.vendor import Vendor
from harness.vendor.scripted import Answer, VendorServer

SEED = 7
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
JOB, OTHER = "01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"


@pytest.fixture
def vendor(tmp_path):
    server = Vendor(0, SEED, ledger.Ledger(tmp_path / "ledger"), SECRET)
    server.path = tmp_path / "ledger"
    yield server
    server.stop()


class Receiver(VendorServer):
    """Accepts callbacks."""

    def __init__(self):
        super().__init__(lambda arrival: Answer(200))

    def callback_url(self, job=JOB, vendor="acme", attempt=3):
        return f"{self.url}vendor-webhook/{vendor}/{job}?token=1.{attempt}.of-{job[-1]}"


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.stop()


def open_call(vendor, mood="", slug="acme", key=JOB, timeout_seconds=5, **given):
    """Send a call that the plan lets succeed, unless a mood is given; return the connection."""
    if mood:
        vendor.impose(slug, mood, 60)
    connection = HTTPConnection("127.0.0.1", vendor.port, timeout=timeout_seconds)
    body = json.dumps({"name": "Job", "serial": serial_with(), **given})
    connection.request("POST", f"/{slug}", body, {"Idempotency-Key": key})
    return connection


def called(vendor, mood="", **given):
    """Return the status, headers and body of the response."""
    connection = open_call(vendor, mood, **given)
    answer = connection.getresponse()
    try:
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@cache
def serial_with(callback="normal", vendor="acme"):
    """Return the serial of a job whose calls all succeed and whose callbacks come soon."""
    plain = (
        serial
        for serial in count(1)
        if (plan := plan_of(SEED, serial, vendor)).callback == callback and not plan.moods
    )
    return min(islice(plain, 10), key=lambda serial: plan_of(SEED, serial, vendor).callback_seconds)


def events(vendor, kind):
    return [event for event in ledger.read_ledger(vendor.path) if isinstance(event, kind)]
