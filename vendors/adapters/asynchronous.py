"""The adapter of vendors that accept a call and post their answer to a callback URL later."""

from vendors.adapters import plain_http
from vendors.base import Accepted, Adapter, Call


class AsyncAdapter(Adapter):
    def call(self, call: Call) -> Accepted:
        """Post the input with the callback URL as one more field.

        Any 2xx answer accepts the job, whatever its body.
        """
        payload = {**call.input, "callback_url": call.callback_url}
        plain_http.post(self.vendor, call, payload, needs_body=False)
        return Accepted()
