"""What a vendor's adapter finds in a callback."""

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


@dataclass(frozen=True)
class Unreadable:
    """The adapter is at fault. `reason`: the kind of fault and its place; not its words, which may
    quote the callback.
    """

    reason: str


def read(body: Any, vendor: Vendor) -> Answer | Unreadable:
    """Return the cleaned result, or the failure, that the vendor's adapter finds in the body of a
    callback.
    """
    try:
        adapter = catalogue.adapter(vendor)
    except ValueError as error:
        return Unreadable(str(error))
    try:
        done = adapter.read_callback(body)
        if not isinstance(done, Done):
            return Unreadable(
                f"read_callback returned {type(done).__name__} and not Done in {_file_of(adapter)}"
            )
    except VendorError as error:
        return error
    except Exception as error:
        return Unreadable(f"{type(error).__name__} at {location_of(error)}")
    try:
        result = clean(done.result, vendor.redacted_fields)
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        return Unreadable(
            f"read_callback returned what is no JSON ({type(error).__name__}) in {_file_of(adapter)}"
        )
    return Done(result)


def _file_of(adapter: Adapter) -> str:
    return str(getattr(sys.modules.get(type(adapter).__module__), "__file__", "?"))
