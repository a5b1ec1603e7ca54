"""The published schema, narrowed to what only this service knows."""

import copy
from typing import Any

Document = dict[str, Any]

VENDORS = ["sync", "async", "failing", "slow", "full"]
# Few, so that some are used again.
KEYS = ["first", "second", '"third"']


def narrowed(schema: Document, cursor: str) -> Document:
    """Return the schema with the vendors that exist and the input that they require, a cursor that
    is signed, and a time that is past. JSON Schema can't say such things, and a request that is
    valid by the schema must be accepted.
    """
    schema = copy.deepcopy(schema)
    schemas, jobs = schema["components"]["schemas"], schema["paths"]["/jobs"]
    posted, options = schemas["JobInput"], schemas["JobOptions"]["properties"]
    posted["required"] = ["vendor", "name"]
    posted["properties"]["vendor"]["enum"] = VENDORS
    options["not_before"]["enum"] = ["2020-01-01T00:00:00Z"]
    _parameter(jobs["get"], "cursor")["schema"] = {"type": "string", "enum": [cursor]}
    key = _parameter(jobs["post"], "Idempotency-Key")
    key["schema"] = {"anyOf": [key["schema"], {"type": "string", "enum": KEYS}]}
    return schema


def _parameter(operation: Document, name: str) -> Document:
    [found] = [each for each in operation["parameters"] if each["name"] == name]
    parameter: Document = found
    return parameter
