"""Has a vendor's adapter make one call, and makes what comes of it one of three: done, accepted, or
a VendorError.
"""

import logging

from django.conf import settings

from vendors.base import Accepted, Adapter, Call, Done, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.payloads import replies
from vendors.payloads.cleaning import clean
from vendors.places import place, place_of_method

log = logging.getLogger(__name__)


def execute(vendor: Vendor, call: Call) -> Done | Accepted | VendorError:
    """Return the answer, its result cleaned. Raises nothing, whatever the adapter does."""
    try:
        adapter = catalogue.adapter(vendor)
    except ValueError as error:
        log.error("vendor %s is not called: %s", vendor, error)
        return VendorError(
            "adapter_failed", "The adapter can't be loaded; the vendor was not called."
        )
    try:
        return _checked(adapter.call(call), vendor, adapter)
    except VendorError as error:
        return _cleaned(error, vendor)
    except Exception as error:
        # Not the exception's own words, but for a developer: they may hold personal data.
        kind, trace = type(error).__name__, error if settings.DEBUG else None
        log.error(
            "the adapter of %s failed with %s at %s", vendor, kind, place(error), exc_info=trace
        )
        return VendorError(
            "adapter_failed", f"The adapter failed with {kind}.", outcome_known=False
        )


def _checked(answer: object, vendor: Vendor, adapter: Adapter) -> Done | Accepted:
    match answer:
        case Accepted():
            return answer
        case Done(dict(result)):
            try:
                return Done(clean(result, vendor.redacted_fields))
            except (AttributeError, RecursionError):
                returned = "Done with a dict that can't be written as JSON"
        case Done(result):
            returned = f"Done with a {type(result).__name__}"
        case _:
            returned = f"a {type(answer).__name__}"
    where = place_of_method(adapter, "call")
    log.error("the adapter of %s returned %s from the method at %s", vendor, returned, where)
    sentence = f"The adapter returned {returned}; it must return Done with a dict, or Accepted."
    raise VendorError("adapter_failed", sentence, outcome_known=False)


def _cleaned(error: VendorError, vendor: Vendor) -> VendorError:
    """Return the error without what may not be kept of the vendor's reply."""
    # The frames of the call hold the whole reply.
    error.__traceback__ = error.__cause__ = error.__context__ = None
    if error.reply is not None:
        error.reply = replies.kept(
            error.reply, vendor.redacted_fields, [vendor.api_key, *vendor.webhook_secrets]
        )
    return error
