"""The adapter of the poll tests: a vendor that accepts a call, and says when asked whether it is
done.
"""

from typing import Any

from vendors.base import Accepted, Adapter, Call, Done, VendorError
from vendors.http.call import post_json


class Polled(Adapter):
    def call(self, call: Call) -> Accepted:
        return Accepted(self._post(call, {"name": call.input["name"]})["id"])

    def poll(self, call: Call) -> Done | Accepted:
        body = self._post(call, {"poll": call.reference})
        if "error" in body:
            raise VendorError(
                body["error"], "It went wrong.", permanent=body.get("permanent", False)
            )
        return Done(body["result"]) if "result" in body else Accepted()

    def _post(self, call: Call, payload: dict[str, Any]) -> dict[str, Any]:
        headers = {"Idempotency-Key": call.idempotency_key}
        seconds = self.vendor.timeout_seconds
        reply = post_json(self.vendor.url, payload, headers=headers, timeout_seconds=seconds)
        return reply.json_object()
