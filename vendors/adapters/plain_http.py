"""The call of both built-in adapters: the job's input as JSON, posted to the vendor's URL."""

from collections.abc import Mapping
from typing import Any

from vendors.base import Call, Reply, VendorError, VendorSettings
from vendors.http.call import post_json


def post(
    vendor: VendorSettings, call: Call, payload: Mapping[str, Any], *, needs_body: bool = True
) -> Reply:
    """Return the vendor's 2xx answer. Raises VendorError.

    A vendor that must not be called twice gets a fresh connection for each call. A kept one may
    have been closed unnoticed, which would needlessly leave the outcome unknown.
    """
    return post_json(
        vendor.url,
        payload,
        headers={"Idempotency-Key": call.idempotency_key, **_authorization(vendor)},
        timeout_seconds=vendor.timeout_seconds,
        fresh_connection=not vendor.repeat_unknown,
        needs_body=needs_body,
        outbound=vendor.outbound,
    )


def _authorization(vendor: VendorSettings) -> dict[str, str]:
    if fault := vendor.api_key_fault:
        raise VendorError("api_key_missing", fault, sent=False)
    return {"Authorization": f"Bearer {vendor.api_key}"} if vendor.api_key_env else {}
