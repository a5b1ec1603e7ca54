"""Reads a callback's body through the vendor's adapter."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from vendors.base import Adapter, Done, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.payloads.cleaning import clean
from vendors.registry import location_of

Answer = Done | VendorError


# The reason of a callback in which an object has two fields of the same name. It is stored with the
# callback, and marks it: only an operator applies it, and the last of the fields counts then.
EQUAL_NAMES = "an object has two fields of the same name, and only the last one was kept"


@dataclass(frozen=True)
class Unreadable:
    """The body is ambiguous, or the adapter failed. `reason` then holds the kind of error and its
    location, but not its message, which may quote the callback.
    """

    reason: str


def read(body: Any, vendor: Vendor) -> Answer | Unreadable:
    """Return the cleaned result, or the failure, that the adapter reads from a callback's body."""
    try:
        adapter = catalogue.adapter(vendor)
    except ValueError as error:
        return Unreadable(str(error))
    try:
        done = adapter.read_callback(body)
    except VendorError as error:
        return error
    except Exception as error:
        return Unreadable(f"{type(error).__name__} at {location_of(error)}")
    if not isinstance(done, Done):
        kind = type(done).__name__
        return Unreadable(f"read_callback returned {kind}, not Done, in {_file_of(adapter)}")
    return _cleaned(done, adapter, vendor)


def _cleaned(done: Done, adapter: Adapter, vendor: Vendor) -> Done | Unreadable:
    try:
        result = clean(done.result, vendor.redacted_fields)
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        kind = type(error).__name__
        return Unreadable(f"read_callback returned no valid JSON ({kind}) in {_file_of(adapter)}")
    return Done(result)


def _file_of(adapter: Adapter) -> str:
    return str(getattr(sys.modules.get(type(adapter).__module__), "__file__", "?"))
