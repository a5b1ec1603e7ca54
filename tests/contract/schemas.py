"""The published schema, narrowed to what only this service knows."""

import copy
from typing import Any

Document = dict[str, Any]

VENDORS = ["sync", "async", "failing", "slow", "full"]
# Few, so that some are used again.
KEYS = ["first", "second", '"third"']


# An upload as lines: what each is made of is up to the server.
LINES = ['{"name":"John Doe"}', '{"name":"John Doe"}\n{"name":7}\n\n[]\n', '{"vendor":"x"}\nx']
LINES_TYPE = "application/x-ndjson"


def narrowed(schema: Document, cursor: str, *, as_lines: bool = False) -> Document:
    """Return the schema with the vendors that exist and the input that they require, a cursor that
    is signed, and a time that is past. JSON Schema can't say such things, and a request that is
    valid by the schema must be accepted. Batches are posted as JSON or, if so asked, as lines: they
    take different parameters, which OpenAPI can't say either.
    """
    schema = copy.deepcopy(schema)
    schemas, paths = schema["components"]["schemas"], schema["paths"]
    schemas["JobInput"]["required"] = ["vendor", "name"]
    for name in ("JobInput", "BatchPosted"):
        schemas[name]["properties"]["vendor"]["enum"] = VENDORS
    for name in ("JobOptions", "CommonOptions"):
        schemas[name]["properties"]["not_before"]["enum"] = ["2020-01-01T00:00:00Z"]
    for path in ("/jobs", "/batches"):
        _parameter(paths[path]["get"], "cursor")["schema"] = _one_of(cursor)
        key = _parameter(paths[path]["post"], "Idempotency-Key")
        key["schema"] = {"anyOf": [key["schema"], _one_of(*KEYS)]}
    _narrow_upload(paths["/batches"]["post"], as_lines)
    return schema


def _narrow_upload(operation: Document, as_lines: bool) -> None:
    content = operation["requestBody"]["content"]
    if not as_lines:
        operation["requestBody"]["content"] = {"application/json": content["application/json"]}
        operation["parameters"] = [_parameter(operation, "Idempotency-Key")]
        return
    operation["requestBody"]["content"] = {LINES_TYPE: {"schema": _one_of(*LINES)}}
    _parameter(operation, "Idempotency-Key")["required"] = True
    _parameter(operation, "vendor")["schema"]["enum"] = VENDORS
    _parameter(operation, "options")["schema"] = _one_of("{}", '{"expires_in":60}')


def _one_of(*texts: str) -> Document:
    return {"type": "string", "enum": list(texts)}


def _parameter(operation: Document, name: str) -> Document:
    [found] = [each for each in operation["parameters"] if each["name"] == name]
    parameter: Document = found
    return parameter
