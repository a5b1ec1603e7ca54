"""Adapters that fail, each in its own way. Vendors name them as adapters.faulty.Raises."""

import json
from datetime import timedelta

from vendors.base import Accepted, Adapter, Done, VendorError


class ReturnsNothing(Adapter):
    def call(self, call):
        return None


class ReturnsDict(Adapter):
    def call(self, call):
        return {"score": 1}


class ReturnsTuple(Adapter):
    def call(self, call):
        return Done(("score",))


class Raises(Adapter):
    def call(self, call):
        raise KeyError(call.input["name"])


class RaisesElsewhere(Adapter):
    def call(self, call):
        return Done(json.loads(call.input["name"]))


class FailsToStart(Adapter):
    def __init__(self, vendor):
        super().__init__(vendor)
        raise RuntimeError("no certificate")


class Sound(Adapter):
    def call(self, call):
        return Accepted()


class Boasts(Adapter):
    def call(self, call):
        return Done({"score": 1}, cost="much", confidence=10**400)


class Unnamed(Adapter):
    def call(self, call):
        return Accepted(None)


class NamedInNoText(Adapter):
    def call(self, call):
        return Accepted("\ud800")


class Hurries(Adapter):
    def call(self, call):
        return Accepted("work", retry_after=5)


class Patient(Adapter):
    def call(self, call):
        return Accepted("work", retry_after=timedelta.max)


class RaisesInNoText(Adapter):
    def call(self, call):
        raise VendorError("odd", "Its answer was \ud800.", permanent=True, cost=[1])
