"""The adapter of vendors that accept a call and post their answer to a callback URL later."""

from vendors.adapters import plain_http
from vendors.base import Accepted, Adapter, Call


class AsyncAdapter(Adapter):
    def call(self, call: Call) -> Accepted:
        """Any 2xx answer accepts, whatever its body; the callback URL goes as one more field of the
        input.
        """
        plain_http.post(
            self.vendor, call, {**call.input, "callback_url": call.callback_url}, needs_body=False
        )
        return Accepted()
