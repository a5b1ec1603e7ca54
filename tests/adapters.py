"""Adapters that go wrong, by the names that vendors' rows give them."""

from vendors.base import Adapter


class ReturnsNothing(Adapter):
    def call(self, call):
        return None


class Raises(Adapter):
    def call(self, call):
        raise KeyError(call.input["name"])
