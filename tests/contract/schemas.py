"""The published schema, narrowed to what only this service knows."""

import copy
from typing import Any

Document = dict[str, Any]

VENDORS = ["sync", "async", "failing", "slow", "full"]


def narrowed(schema: Document, cursor: str) -> Document:
    """Return the schema with the vendors that exist and the input that they require, and with a
    cursor that is signed. JSON Schema can't say such things, and a valid request must be accepted.
    """
    schema = copy.deepcopy(schema)
    posted = schema["components"]["schemas"]["JobInput"]
    posted["required"] = ["vendor", "name"]
    posted["properties"]["vendor"]["enum"] = VENDORS
    for parameter in schema["paths"]["/jobs"]["get"]["parameters"]:
        if parameter["name"] == "cursor":
            parameter["schema"] = {"type": "string", "enum": [cursor]}
    return schema
