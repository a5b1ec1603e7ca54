"""The adapter of vendors that answer at once."""

from vendors.adapters import plain_http
from vendors.base import Adapter, Call, Done


class SyncAdapter(Adapter):
    def call(self, call: Call) -> Done:
        """Post the input. The JSON object of a 2xx answer is the result."""
        return Done(plain_http.post(self.vendor, call, call.input).json_object())
