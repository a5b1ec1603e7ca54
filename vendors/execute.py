"""Runs a vendor's adapter and reduces what happens to Done, Accepted or a VendorError."""

import logging
from dataclasses import replace

from django.conf import settings

from vendors import replies
from vendors.adapters import storable
from vendors.base import ANY_KEY, Accepted, Access, Adapter, Call, Done, Outcome, VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.models.secrets import MIN_LENGTH_IN_RESULTS
from vendors.payloads.cleaning import clean
from vendors.payloads.masking import masked_in, spellings
from vendors.registry import location_of, location_of_method

log = logging.getLogger(__name__)

NO_DATA = Outcome.NO_DATA
NOT_LOADED = "The adapter can't be loaded. The vendor was not called."

KEY_IN_REFERENCE = (
    "The vendor accepted the job and may do the work, but its reference holds a key of ours, so it "
    "is not stored. Correct `reference`."
)


def execute(vendor: Vendor, call: Call) -> Done | Accepted | VendorError:
    """Make one call and return its outcome, with the result cleaned.

    Any Exception of the adapter becomes a VendorError with code adapter_failed.
    """
    return _answer(vendor, "call", call, call.access)


def poll(vendor: Vendor, call: Call) -> Done | Accepted | VendorError:
    """Ask once for the answer to an earlier call, like `execute`."""
    return _answer(vendor, "poll", call, call.access)


def check(vendor: Vendor, access: Access = ANY_KEY) -> Done | Accepted | VendorError:
    """Prove the vendor's credentials by a call that costs nothing, like `execute`."""
    return _answer(vendor, "check", access, access)


def _answer(
    vendor: Vendor, method: str, argument: Call | Access, access: Access
) -> Done | Accepted | VendorError:
    try:
        adapter = catalogue.adapter(vendor)
    except ValueError as error:
        log.error("vendor %s is not called: %s", vendor, error)
        return VendorError("adapter_failed", NOT_LOADED, sent=False)
    try:
        answer = _cleaned(getattr(adapter, method)(argument), vendor, adapter, method)
        return _masked(answer, vendor, access)
    except VendorError as error:
        return _redacted(error, vendor, access)
    except Exception as error:
        kind, where = type(error).__name__, location_of(error)
        # An exception's message may hold personal data, so only DEBUG logs it.
        trace = error if settings.DEBUG else None
        log.error("the adapter of %s failed with %s at %s", vendor, kind, where, exc_info=trace)
        sentence = f"The adapter failed with {kind}."
        return VendorError("adapter_failed", sentence, outcome_known=False)


def _cleaned(answer: object, vendor: Vendor, adapter: Adapter, method: str) -> Done | Accepted:
    match answer:
        case Done(dict() | list() | str() | int() | float() as result) if answer.outcome != NO_DATA:
            try:
                cleaned = clean(result, vendor.redacted_fields)
            except (AttributeError, RecursionError):
                kind = type(result).__name__
                returned = f"Done with a {kind} that can't be written as JSON"
            else:
                cost, confidence = storable.numbers(answer, vendor)
                return Done(cleaned, answer.outcome, cost, confidence)
        case Accepted() if storable.is_reference(answer.reference):
            return storable.accepted(answer, vendor)
        case Accepted():
            returned = "Accepted with a reference that is not a text of up to 255 characters"
        # A check proves the credentials, and need say no more.
        case Done(result) if answer.outcome == NO_DATA or (result is None and method == "check"):
            return Done(None, answer.outcome, *storable.numbers(answer, vendor))
        case Done(result):
            returned = f"Done with a {type(result).__name__}"
        case _:
            returned = f"a {type(answer).__name__}"
    where = location_of_method(adapter, method)
    log.error("the adapter of %s returned %s from the method at %s", vendor, returned, where)
    sentence = f"The adapter returned {returned}; it must return Done with JSON, or Accepted."
    raise VendorError("adapter_failed", sentence, outcome_known=False)


def _masked(answer: Done | Accepted, vendor: Vendor, access: Access) -> Done | Accepted:
    """Return the answer without the vendor's secrets, which clients must not see."""
    if not vendor.has_secrets:
        return answer
    secrets = vendor.secrets_in_results
    if len(access.token) >= MIN_LENGTH_IN_RESULTS:
        secrets = secrets | spellings(access.token)
    if isinstance(answer, Done):
        result = masked_in(answer.result, secrets)
        return answer if result is answer.result else replace(answer, result=result)
    if masked_in(answer.reference, secrets) != answer.reference:
        # Masked, it would name nothing.
        raise VendorError("bad_reply", KEY_IN_REFERENCE, permanent=True, outcome_known=False)
    return answer


def _redacted(error: VendorError, vendor: Vendor, access: Access) -> VendorError:
    # The frames of the call hold the whole reply.
    error.__traceback__ = error.__cause__ = error.__context__ = None
    secrets = [*vendor.secrets, access.token]
    if error.reply is not None:
        error.reply = replies.kept(error.reply, vendor.redacted_fields, secrets)
    return storable.error(error, vendor, secrets)
