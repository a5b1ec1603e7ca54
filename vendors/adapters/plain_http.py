"""The call that both built-in adapters make: the job's input as a JSON object, posted to the
vendor's URL.
"""

from collections.abc import Mapping
from typing import Any

from vendors.base import Call, Reply, VendorError
from vendors.http.call import post_json
from vendors.models import Vendor


def post(
    vendor: Vendor, call: Call, payload: Mapping[str, Any], *, needs_body: bool = True
) -> Reply:
    """Return the vendor's 2xx answer. Raises VendorError.

    A vendor that must not be called twice gets a fresh connection for each call: a kept one may be
    dead without our knowing, and then it would be unknown for no good reason whether the vendor
    took the call.
    """
    return post_json(
        vendor.url,
        payload,
        headers=_headers(vendor, call),
        timeout_seconds=vendor.timeout_seconds,
        fresh_connection=not vendor.repeat_unknown,
        needs_body=needs_body,
    )


def _headers(vendor: Vendor, call: Call) -> dict[str, str]:
    return {"Idempotency-Key": call.idempotency_key, **_authorization(vendor)}


def _authorization(vendor: Vendor) -> dict[str, str]:
    if fault := vendor.api_key_fault:
        raise VendorError("api_key_missing", fault)
    return {"Authorization": f"Bearer {vendor.api_key}"} if vendor.api_key_env else {}
