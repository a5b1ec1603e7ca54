"""Reads a callback's body through the vendor's adapter."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from vendors.adapters import storable
from vendors.base import Accepted, Adapter, Done, Outcome, VendorError
from vendors.catalogue import catalogue
from vendors.definitions.faults import DefinitionFaults
from vendors.models import Vendor
from vendors.payloads.cleaning import clean
from vendors.payloads.masking import masked_in
from vendors.registry import location_of

Answer = Done | Accepted | VendorError  # Accepted: the vendor must be polled


# The reason of a callback in which an object has two fields of the same name. It is stored with the
# callback, and marks it: only an operator applies it, and the last of the fields counts then.
EQUAL_NAMES = "an object has two fields of the same name, and only the last one was kept"

NOT_POLLED = "it has no result, and the vendor is not polled"


@dataclass(frozen=True)
class Unreadable:
    """The body is ambiguous, or the adapter failed. `reason` then holds the kind of error and its
    location, but not its message, which may quote the callback.
    """

    reason: str


def read(body: Any, vendor: Vendor) -> Answer | Unreadable:
    """Return the cleaned result, or the failure, that the adapter reads from a callback's body."""
    try:
        proof, adapter = vendor.callback_proof, catalogue.adapter(vendor)
    except DefinitionFaults:
        return Unreadable("the definition's `callback` has a fault")
    except ValueError as error:
        return Unreadable(str(error))
    try:
        if proof and proof.confirm:  # nothing in it is believed
            return _checked(Accepted(), adapter, vendor)
        return _checked(adapter.read_callback(body), adapter, vendor)
    except VendorError as error:
        return storable.error(error, vendor, vendor.secrets)
    except Exception as error:
        return Unreadable(f"{type(error).__name__} at {location_of(error)}")


def _checked(answer: object, adapter: Adapter, vendor: Vendor) -> Answer | Unreadable:
    match answer:
        case Accepted():
            return answer if vendor.polling else Unreadable(NOT_POLLED)
        case Done():
            return _cleaned(answer, adapter, vendor)
        case _:
            kind = type(answer).__name__
            return Unreadable(f"read_callback returned {kind}, not Done, in {_file_of(adapter)}")


def _cleaned(done: Done, adapter: Adapter, vendor: Vendor) -> Done | Unreadable:
    numbers = storable.numbers(done, vendor)
    if done.outcome == Outcome.NO_DATA:
        return Done(None, done.outcome, *numbers)
    try:
        result = clean(done.result, vendor.redacted_fields)
        json.dumps(result, allow_nan=False)
        result = masked_in(result, vendor.secrets_in_results)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        kind = type(error).__name__
        return Unreadable(f"read_callback returned no valid JSON ({kind}) in {_file_of(adapter)}")
    return Done(result, done.outcome, *numbers)


def _file_of(adapter: Adapter) -> str:
    return str(getattr(sys.modules.get(type(adapter).__module__), "__file__", "?"))
