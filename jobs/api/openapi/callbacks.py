"""The operations that receive callbacks, which are not views of REST framework."""

from typing import Any

from django.conf import settings

Document = dict[str, Any]

VENDOR = ("path", "vendor", "The vendor's slug.")
JOB = [
    VENDOR,
    ("path", "request_id", "The job's id."),
    ("query", "token", "The token in the callback URL."),
]
SIGNATURE = [
    ("header", "webhook-id", "The id of the message, if callbacks are signed."),
    ("header", "webhook-timestamp", "The time of signing, in seconds since 1970."),
    ("header", "webhook-signature", "As defined by Standard Webhooks."),
]
ANSWERS = {
    "200": "Stored. `status` is `applied`, `polled`, `late`, `stored` or `unreadable`",
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
OF_ACCOUNT = {
    "202": "Stored, but no job has its reference yet. `status` is `unmatched`",
    "400": "no_reference, not_an_object, body_cut_short or bad_request",
    "404": "unknown_vendor: no vendor of this name posts to this URL",
}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemShown"}}}


def paths() -> Document:
    """Return the paths to which vendors post."""
    of_account = _operation(
        "receive_account_callback",
        "Receive a vendor's result at one URL for the whole account",
        "The vendor's own reference in the body, or in a header, says which job it is for. Only "
        "for vendors whose definition says so, and proven as it says. See docs/webhooks.md.",
        [VENDOR, *SIGNATURE],
        OF_ACCOUNT,
    )
    of_job = _operation(
        "receive_callback",
        "Receive a vendor's result",
        "Vendors post to the callback URL of a call, which contains a token. See docs/webhooks.md.",
        [*JOB, *SIGNATURE],
        {},
    )
    return {
        "/vendor-webhook/{vendor}": {"post": of_account},
        "/vendor-webhook/{vendor}/{request_id}": {"post": of_job},
    }


def _operation(
    name: str,
    summary: str,
    description: str,
    parameters: list[tuple[str, str, str]],
    changed: dict[str, str],
) -> Document:
    status = {"type": "object", "properties": {"status": {"type": "string"}}}
    answer = {"application/json": {"schema": {**status, "required": ["status"]}}}
    answers = {key: changed.get(key, text) for key, text in ANSWERS.items()}
    problems = {key: changed.get(key, text) for key, text in PROBLEMS.items()}
    return {
        "operationId": name,
        "tags": ["callbacks"],
        "summary": summary,
        "description": description,
        "servers": [{"url": settings.PUBLIC_URL, "description": "The gateway as vendors see it"}],
        "security": [],  # the token, or a proof of origin
        "parameters": [_parameter(*each) for each in parameters],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "responses": {**_responses(answers, answer), **_responses(problems, PROBLEM)},
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
