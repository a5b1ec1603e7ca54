"""Adapters that fail, each in its own way. Vendors name them as adapters.faulty.Raises."""

import json

from vendors.base import Accepted, Adapter, Done


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
