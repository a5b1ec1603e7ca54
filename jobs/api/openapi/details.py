"""What views cannot declare: problems, headers, patterns, the server, and the callbacks' door."""

from collections.abc import Iterable
from typing import Any

from jobs.api.batches.posting.upload import MAX_JOBS
from jobs.api.input.options import MAX_KEY, MAX_PAIRS
from jobs.api.input.posted import NAME_PATTERN
from jobs.api.openapi import callbacks, problem_types
from jobs.api.openapi.batch_operations import OF_ITEMS
from jobs.api.openapi.operations import PROBLEMS
from jobs.api.problems import TYPE_PREFIX

Document = dict[str, Any]

DESCRIPTION = """A gateway for third-party vendor calls: post a job, get an id at once, fetch the
result later.

Every error is a problem (RFC 9457) with a stable `code`; each answer below lists its codes and what
to do about them. A request that is not valid HTTP gets one before it reaches an operation:

"""
OUTSIDE = (
    *("bad_request_line", "bad_header", "bad_chunk", "request_timeout", "address_too_long"),
    *("expectation_failed", "head_too_large", "unsupported_transfer_coding"),
)
VENDOR = {
    "pattern": "^[a-z0-9][a-z0-9_-]*$",
    "maxLength": 50,
    "description": "The slug of an enabled vendor. Errors: `unknown_vendor`, `vendor_disabled`.",
}
NAME = {
    "pattern": NAME_PATTERN,
    "description": "What the job is about, for those vendors that require it. Surrounding white "
    "space is removed. It needs a visible character, and must not contain U+0000 or bidirectional "
    "controls.",
}
WITHOUT_NUL = "^[^\\u0000]*$"
FIELDS = "^[^.,\\u0000]+([.,][^.,\\u0000]+)*$"
CURSOR = {
    "pattern": "^[.A-Za-z0-9_-]+:[A-Za-z0-9_-]+:[A-Za-z0-9_-]+$",
    "description": "Opaque: the cursor in `next` of the previous page. Error: `bad_cursor`.",
}
TEXT: Document = {"type": "string"}
SECONDS: Document = {"type": "integer", "minimum": 1}
HEADERS: dict[str, Document] = {
    "Allow": {"description": "The allowed methods.", "schema": TEXT},
    "Cache-Control": {
        "description": "Always no-store.",
        "schema": {"type": "string", "enum": ["no-store"]},
    },
    "Content-Disposition": {"description": "Names the file.", "schema": TEXT},
    "Idempotency-Replayed": {
        "description": "Present if this is the answer to an earlier request with the same "
        "Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {
        "description": "The path of the job or the batch.",
        "schema": {"type": "string", "pattern": "^/(jobs|batches)/[0-9a-f-]{36}$"},
    },
    "Preference-Applied": {
        "description": "Present if the request waited as it preferred, and this is final.",
        "schema": {"type": "string", "pattern": "^wait=[0-9]+$"},
    },
    "RateLimit": {
        "description": "What is left of the client's request limits. Present if it has any.",
        "schema": TEXT,
    },
    "RateLimit-Policy": {
        "description": "The client's request limits. Present if it has any.",
        "schema": TEXT,
    },
    "Retry-After": {
        "description": "Seconds to wait before the next request about this. Absent if the job is "
        "final, or the batch finished.",
        "schema": SECONDS,
    },
    "Vary": {
        "description": "The answer depends on the API key and, where there is one, on the "
        "preference to wait.",
        "schema": {"type": "string", "pattern": "Authorization"},
    },
    "WWW-Authenticate": {"description": "The scheme of authentication.", "schema": TEXT},
}
OF_EVERY_VIEW = {"Cache-Control", "RateLimit", "RateLimit-Policy", "Vary"}
HEADERS_OF = {
    "post_job": {
        "200": {"Location", "Idempotency-Replayed", "Preference-Applied"},
        "202": {"Retry-After", "Location", "Idempotency-Replayed"},
    },
    "show_job": {"200": {"Retry-After", "Preference-Applied"}},
    "retry_job": {"200": {"Retry-After"}},
    "post_batch": {"202": {"Retry-After", "Location", "Idempotency-Replayed"}},
    "show_batch": {"200": {"Retry-After", "Preference-Applied"}},
    "read_results": {"200": {"Content-Disposition"}},
    "cancel_batch": {"200": {"Retry-After"}},
    "retry_batch": {"200": {"Retry-After"}},
}
HEADERS_OF_PROBLEMS = {
    "401": {"WWW-Authenticate", "Cache-Control", "Vary"},
    "405": {"Allow"},
    "429": {"Retry-After"},
    "503": {"Retry-After"},
}
# Some of these are answered before a view runs, without its headers.
WITHOUT_COMMON_HEADERS = ("400", "401", "405", "500", "503")


def complete(result: Document, **_: Any) -> Document:
    """Add the details; one of SPECTACULAR_SETTINGS' hooks."""
    result["info"]["description"] = DESCRIPTION + problem_types.described(OUTSIDE)
    result["servers"] = [{"url": "/", "description": "This gateway"}]
    _complete_schemas(result["components"]["schemas"])
    result["components"]["headers"] = HEADERS
    for path in ("/jobs", "/batches"):
        _complete_list(result["paths"][path]["get"]["parameters"])
    _complete_upload(result["paths"]["/batches"]["post"])
    results = result["paths"]["/batches/{batch_id}/results"]["get"]
    _named(results["parameters"])["fields"]["schema"]["pattern"] = FIELDS
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"] = _responses(operation)
    result["paths"] |= callbacks.paths()
    return result


def _named(parameters: list[Document]) -> Document:
    return {each["name"]: each for each in parameters}


def _complete_list(parameters: list[Document]) -> None:
    named = _named(parameters)
    named["cursor"]["description"] = CURSOR["description"]
    named["cursor"]["schema"]["pattern"] = CURSOR["pattern"]
    for name in named.keys() & {"vendor", "reference"}:
        named[name]["schema"]["pattern"] = WITHOUT_NUL


def _complete_upload(operation: Document) -> None:
    operation["requestBody"]["required"] = True
    named = _named(operation["parameters"])
    named["vendor"]["schema"] |= {name: VENDOR[name] for name in ("pattern", "maxLength")}
    named["reference"]["schema"] |= {"minLength": 1, "maxLength": 255, "pattern": WITHOUT_NUL}


def _complete_schemas(schemas: Document) -> None:
    posted = schemas["JobInput"]["properties"]
    posted["vendor"] |= VENDOR
    posted["name"] |= NAME
    for name in ("JobOptions", "CommonOptions"):
        _complete_options(schemas[name])
    batch, item = (schemas[name]["properties"] for name in ("BatchPosted", "BatchItem"))
    batch["vendor"] |= VENDOR
    batch["reference"] |= {"minLength": 1, "pattern": WITHOUT_NUL}
    batch["jobs"] |= {"minItems": 1, "maxItems": MAX_JOBS}
    schemas["BatchPosted"]["additionalProperties"] = False
    schemas["ItemRefusal"]["properties"]["code"]["enum"] = sorted(OF_ITEMS)
    item["vendor"] |= VENDOR
    item["name"] |= NAME
    problem = schemas["ProblemShown"]["properties"]
    problem["type"]["pattern"] = f"^{TYPE_PREFIX}"


def _complete_options(options: Document) -> None:
    options["additionalProperties"] = False
    if "reference" in options["properties"]:
        options["properties"]["reference"] |= {"minLength": 1, "pattern": WITHOUT_NUL}
    metadata = options["properties"]["metadata"]
    metadata["maxProperties"] = MAX_PAIRS
    metadata["propertyNames"] = {"minLength": 1, "maxLength": MAX_KEY, "pattern": r"^[^\u0000]*$"}
    metadata["additionalProperties"]["pattern"] = WITHOUT_NUL


def _responses(operation: Document) -> Document:
    """Return the operation's answers: its own, and one for each status of its problems."""
    name = operation["operationId"]
    found = {status: each for status, each in operation["responses"].items() if status < "300"}
    for status, codes in problem_types.by_status(PROBLEMS[name]).items():
        found[str(status)] = _problem(codes)
    for status, response in found.items():
        response["headers"] = _headers(HEADERS_OF.get(name, {}).get(status, set()), status)
    return dict(sorted(found.items()))


def _problem(codes: list[str]) -> Document:
    """Return an answer with one of these problems."""
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/ProblemShown"},
            {"type": "object", "properties": {"code": {"type": "string", "enum": codes}}},
        ]
    }
    return {
        "description": problem_types.described(codes),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _headers(own: Iterable[str], status: str) -> Document:
    names = {*own, *HEADERS_OF_PROBLEMS.get(status, ())}
    if status not in WITHOUT_COMMON_HEADERS:
        names |= OF_EVERY_VIEW
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}
