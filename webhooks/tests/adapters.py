"""Adapters that read callbacks in different ways."""

from datetime import UTC, datetime

from vendors.base import Accepted, Adapter, Done, VendorError
from vendors.http.call import post_json


class Picky(Adapter):
    """Reads `error` as a failure, and can't read a callback without a name."""

    def read_callback(self, payload):
        if "error" in payload:
            raise VendorError("no_match", "The vendor found no match.")
        return Done({"name": payload["name"], "ssn": "999-99-9999"})


class Careless(Adapter):
    """Returns a result that is not JSON."""

    def read_callback(self, payload):
        return Done({"at": datetime.now(UTC)})


class Forgetful(Adapter):
    """Returns the result without a Done around it."""

    def read_callback(self, payload):
        return payload


class Unstorable(Adapter):
    """Returns what no store can keep."""

    def read_callback(self, payload):
        return Done(payload, outcome="\ud800")


class Referring(Adapter):
    """Names its reference in each callback, and posts to the URL of the whole account."""

    def call(self, call):
        reply = post_json(self.vendor.url, call.input, headers={}, timeout_seconds=5)
        return Accepted(reply.json_object()["id"])

    def poll(self, call):
        return Done({"polled": call.reference})

    def read_callback(self, payload):
        if "error" in payload:
            raise VendorError(payload["error"], "The vendor said so.")
        if "result" not in payload:
            return Accepted()
        return Done(payload["result"], cost=payload.get("cost"), confidence=0.5)

    def callback_reference(self, payload, headers):
        return payload["ref"] if "ref" in payload else headers.get("x-ref", "")
