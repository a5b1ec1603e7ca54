"""Vendors of the tests: how each reads a callback."""

from datetime import UTC, datetime

from vendors.base import Adapter, Done, VendorError


class Picky(Adapter):
    """Takes a callback with an error for a failure, and can't read one without a name."""

    def read_callback(self, payload):
        if "error" in payload:
            raise VendorError("no_match", "The vendor found nobody.")
        return Done({"name": payload["name"], "ssn": "999-99-9999"})


class Careless(Adapter):
    """Makes something of a callback that is not JSON."""

    def read_callback(self, payload):
        return Done({"at": datetime.now(UTC)})


class Forgetful(Adapter):
    """Returns the result without a Done around it."""

    def read_callback(self, payload):
        return payload
