"""Calls of vendors by adapter http."""

import json
from collections.abc import Callable
from typing import Any

from harness.vendor.server import Server
from vendors.base import Adapter, Call, VendorError
from vendors.models import Vendor
from vendors.registry import make_adapter

CALL = Call(
    job_id="0190-job",
    input={"id": "J/1", "email": "john@example.com"},
    idempotency_key="0190-job:2",
    callback_url="http://127.0.0.1:9/vendor-webhook/acme/0190-job?token=t",
)
POLLED = Call(**{**vars(CALL), "reference": "w 1"})


def adapter_of(
    server: Server, keys: dict[str, Any], address: str = "GET {url}p/{{input.id}}", **fields: Any
) -> Adapter:
    text = json.dumps(keys).replace("SERVER/", server.url)
    vendor = Vendor(
        slug="acme",
        adapter="http",
        url=address.format(url=server.url),
        timeout_seconds=5,
        definition=json.loads(text),
        **fields,
    )
    vendor.credential = None
    return make_adapter(vendor)


def answered(method: Callable[[], object]) -> object:
    try:
        return method()
    except VendorError as error:
        return error
