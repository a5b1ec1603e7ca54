"""The operation that receives callbacks, which is not a view of REST framework."""

from typing import Any

from django.conf import settings

Document = dict[str, Any]

PATH = "/vendor-webhook/{vendor}/{request_id}"
PARAMETERS = [
    ("path", "vendor", "The vendor's slug."),
    ("path", "request_id", "The job's id."),
    ("query", "token", "The token in the callback URL."),
    ("header", "webhook-id", "The id of the message, if callbacks are signed."),
    ("header", "webhook-timestamp", "The time of signing, in seconds since 1970."),
    ("header", "webhook-signature", "As defined by Standard Webhooks."),
]
ANSWERS = {
    "200": "Stored. `status` is `applied`, `late`, `stored` or `unreadable`",
    "202": "Stored, but the job does not exist. `status` is `unmatched`",
}
PROBLEMS = {
    "400": "not_an_object, body_cut_short or bad_request",
    "401": "unauthorized: the token or the signature is missing, wrong or expired",
    "404": "unknown_vendor or not_found",
    "405": "method_not_allowed",
    "408": "request_timeout",
    "413": "too_large",
    "415": "unsupported_encoding",
    "429": "too_many_callbacks",
    "500": "server_error",
    "503": "overloaded or store_unavailable",
}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemShown"}}}


def operation() -> Document:
    status = {"type": "object", "properties": {"status": {"type": "string"}}}
    answer = {"application/json": {"schema": {**status, "required": ["status"]}}}
    return {
        "operationId": "receive_callback",
        "tags": ["callbacks"],
        "summary": "Receive a vendor's result",
        "description": "Vendors post to the callback URL of a call, which contains a token. "
        "See docs/webhooks.md.",
        "servers": [{"url": settings.PUBLIC_URL, "description": "The gateway as vendors see it"}],
        "security": [],  # the token, or the signature
        "parameters": [_parameter(*each) for each in PARAMETERS],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "responses": {**_responses(ANSWERS, answer), **_responses(PROBLEMS, PROBLEM)},
    }


def _parameter(where: str, name: str, description: str) -> Document:
    schema = {"type": "string"} | ({"format": "uuid"} if name == "request_id" else {})
    parameter = {"in": where, "name": name, "description": description, "schema": schema}
    return parameter | ({"required": True} if where == "path" else {})


def _responses(descriptions: dict[str, str], content: Document) -> Document:
    headers = {
        "405": ("Allow",),
        "429": ("Retry-After",),
        "503": ("Retry-After",),
    }
    return {
        status: {
            "content": content,
            "description": description,
            "headers": {
                name: {"$ref": f"#/components/headers/{name}"} for name in headers.get(status, ())
            },
        }
        for status, description in descriptions.items()
    }
