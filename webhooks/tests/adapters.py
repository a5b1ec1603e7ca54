"""Adapters that read callbacks in different ways."""

from datetime import UTC, datetime

from vendors.base import Adapter, Done, VendorError


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
