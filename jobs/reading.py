"""What a vendor's adapter finds in a callback."""

import json
import sys
import traceback
from dataclasses import dataclass
from typing import Any

from vendors.base import Adapter, Done, VendorError
from vendors.catalogue import catalogue
from vendors.cleaning import clean
from vendors.models import Vendor

Answer = Done | VendorError


@dataclass(frozen=True)
class Unreadable:
    """The adapter is at fault. `reason`: the kind of fault and its place; not its words, which may quote the callback."""

    reason: str


def read(body: Any, vendor: Vendor) -> Answer | Unreadable:
    """Return the cleaned result, or the failure, that the vendor's adapter finds in the body of a callback."""
    adapter: Adapter | None = None
    try:
        adapter = catalogue.adapter(vendor)
        done = adapter.read_callback(body)
        if not isinstance(done, Done):
            return Unreadable(f"read_callback returned {type(done).__name__} and not Done in {_file_of(adapter)}")
    except VendorError as error:
        return error
    except Exception as error:
        return Unreadable(f"{type(error).__name__} at {_place(error, adapter)}")
    try:
        result = clean(done.result, vendor.redacted_fields)
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        return Unreadable(f"read_callback returned what is no JSON ({type(error).__name__}) in {_file_of(adapter)}")
    return Done(result)


def _place(error: Exception, adapter: Adapter | None) -> str:
    """Return the last place in the adapter's own file; where it was not at work, the last one at all."""
    frames = traceback.extract_tb(error.__traceback__)
    of_adapter = [frame for frame in frames if adapter and frame.filename == _file_of(adapter)]
    last = (of_adapter or frames)[-1]
    return f"{last.filename} line {last.lineno}"


def _file_of(adapter: Adapter) -> str:
    return str(getattr(sys.modules.get(type(adapter).__module__), "__file__", "?"))
