"""What a callback's body says, as clients may see it."""

import pytest

from jobs.callbacks.read import read
from vendors.base import Done, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.sqlite


def test_a_result_does_not_repeat_a_key(monkeypatch):
    monkeypatch.setenv("VENDOR_ACME_KEY", "sk-l1ve/s3cret")
    url = "http://127.0.0.1:9/"
    vendor = Vendor(slug="acme", adapter="async", url=url, api_key_env="VENDOR_ACME_KEY")
    body = {"name": "John", "next": "https://api.acme.test/?key=sk-l1ve%2Fs3cret&page=2"}
    masked = {"name": "John", "next": "https://api.acme.test/?key=***&page=2"}
    assert read(body, vendor) == Done(masked)


def test_a_failure_does_not_repeat_a_key(monkeypatch):
    class Adapter:
        def read_callback(self, payload):
            raise VendorError("auth", f"Wrong key {payload['key']}.")

    monkeypatch.setenv("VENDOR_ACME_KEY", "sk-l1ve/s3cret")
    monkeypatch.setattr(catalogue, "adapter", lambda _: Adapter())
    vendor = Vendor(slug="acme", adapter="async", api_key_env="VENDOR_ACME_KEY")
    assert read({"key": "sk-l1ve%2Fs3cret"}, vendor).message == "Wrong key ***."
