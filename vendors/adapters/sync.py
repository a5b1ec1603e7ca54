"""The adapter of vendors that answer at once."""

from vendors.adapters import plain_http
from vendors.base import Adapter, Call, Done


class SyncAdapter(Adapter):
    def call(self, call: Call) -> Done:
        """A 2xx answer with a JSON object is the result."""
        return Done(plain_http.post(self.vendor, call, call.input).json_object())
