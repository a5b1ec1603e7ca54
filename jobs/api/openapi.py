"""The OpenAPI document: generated once per process, with examples that work for this gateway and
details that views cannot declare.
"""

import copy
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer

from jobs.api.problems import TYPE_PREFIX
from jobs.api.serializers import NAME_PATTERN
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue

Document = dict[str, Any]

MAX_EXAMPLES = 5
MOCKS_PATH = "/mock-vendors/"

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemShown"}}}
NO_STORE = {"description": "Always no-store.", "schema": {"type": "string", "enum": ["no-store"]}}
VENDOR = {
    "pattern": "^[a-z0-9][a-z0-9_-]*$",
    "maxLength": 50,
    "description": "The slug of an enabled vendor. Errors: `unknown_vendor`, `vendor_disabled`.",
}
NAME = {
    "pattern": NAME_PATTERN,
    "description": "What the job is about. Surrounding white space is removed. It needs a visible "
    "character, and must not contain U+0000 or bidirectional controls.",
}
OPTIONS = {
    "maxProperties": 0,
    "description": "Reserved for options of the gateway. There are none yet: "
    "omit it, or send `{}`.",
}
CURSOR = {
    "pattern": "^[.A-Za-z0-9_-]+:[A-Za-z0-9_-]+:[A-Za-z0-9_-]+$",
    "description": "Opaque: the cursor in `next` of the previous page. Error: `bad_cursor`.",
}
ALLOW = {"description": "The allowed methods.", "schema": {"type": "string"}}
COMMON_PROBLEMS = {
    "400": "bad_request: the Host header is not in ALLOWED_HOSTS",
    "405": "method_not_allowed",
}
# Some of these are answered before a view runs, without its headers.
WITHOUT_CACHE_CONTROL = ("400", "405", "500", "503")

CALLBACK_PATH = "/vendor-webhook/{vendor}/{request_id}"
CALLBACK_PARAMETERS = [
    ("path", "vendor", "The vendor's slug."),
    ("path", "request_id", "The job's id."),
    ("query", "token", "The token in the callback URL."),
    ("header", "webhook-id", "The id of the message, if callbacks are signed."),
    ("header", "webhook-timestamp", "The time of signing, in seconds since 1970."),
    ("header", "webhook-signature", "As defined by Standard Webhooks."),
]
CALLBACK_ANSWERS = {
    "200": "Stored. `status` is `applied`, `late`, `stored` or `unreadable`",
    "202": "Stored, but the job does not exist. `status` is `unmatched`",
}
CALLBACK_PROBLEMS = {
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


class Schema:
    """The text of the document, cached by format and by the vendors of its examples."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._document: Document | None = None
        self._texts: dict[tuple[str, tuple[str, ...]], bytes] = {}

    def text(self, form: str, vendors: tuple[str, ...]) -> bytes:
        # The generator is not thread-safe: it registers the library's extensions on first use.
        with self._lock:
            if self._document is None:
                self._document = SchemaGenerator().get_schema(public=True)
            if (form, vendors) not in self._texts:
                self._texts = {key: text for key, text in self._texts.items() if key[1] == vendors}
                document = _with_examples(self._document, vendors)
                self._texts[form, vendors] = _rendered(document, form)
            return self._texts[form, vendors]


_schema = Schema()


def show(request: HttpRequest) -> HttpResponse:
    """Answer with the document in YAML, or in JSON for ?format=json or a matching Accept header."""
    accepts_json = "json" in request.headers.get("Accept", "")
    form = request.GET.get("format") or ("json" if accepts_json else "yaml")
    renderer = OpenApiJsonRenderer if form == "json" else OpenApiYamlRenderer
    text = _schema.text("json" if form == "json" else "yaml", _example_vendors())
    headers = {
        "Content-Disposition": f'inline; filename="EnrichLabs.{renderer.format}"',
        "Vary": "Accept",
    }
    return HttpResponse(text, renderer.media_type, headers=headers)


def _rendered(document: Document, form: str) -> bytes:
    renderer = OpenApiJsonRenderer() if form == "json" else OpenApiYamlRenderer()
    return bytes(renderer.render(document, renderer_context={}))


def _example_vendors() -> tuple[str, ...]:
    """Return the mock vendors or, if there are none, any other vendor."""
    try:
        vendors = sorted(catalogue.all().items())
    except STORE_ERRORS:
        return ()
    enabled = {slug: vendor.url for slug, vendor in vendors if vendor.enabled}
    mocks = [slug for slug, url in enabled.items() if MOCKS_PATH in url]
    mocks.sort(key=lambda slug: slug != "sync")  # first, because its result comes at once
    return tuple(mocks[:MAX_EXAMPLES] or list(enabled)[:1])


def _with_examples(document: Document, vendors: tuple[str, ...]) -> Document:
    document = copy.deepcopy(document)
    content = document["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]
    content["examples"] = {vendor: _example(f"A job for {vendor}", vendor) for vendor in vendors}
    if not vendors:
        content["examples"]["vendor"] = _example("Configure a vendor first", "acme")
    return document


def _example(summary: str, vendor: str) -> Document:
    return {"summary": summary, "value": {"vendor": vendor, "name": "John Doe"}}


def complete(result: Document, **_: Any) -> Document:
    """Add what views cannot declare; one of SPECTACULAR_SETTINGS' hooks."""
    result["servers"] = [{"url": "/", "description": "This gateway"}]
    schemas = result["components"]["schemas"]
    posted = schemas["JobInput"]["properties"]
    posted["vendor"] |= VENDOR
    posted["name"] |= NAME
    posted["options"] |= OPTIONS
    schemas["ProblemShown"]["properties"]["type"]["pattern"] = f"^{TYPE_PREFIX}"
    parameters = {each["name"]: each for each in result["paths"]["/jobs"]["get"]["parameters"]}
    parameters["cursor"]["description"] = CURSOR["description"]
    parameters["cursor"]["schema"]["pattern"] = CURSOR["pattern"]
    parameters["vendor"]["schema"]["pattern"] = "^[^\\u0000]*$"
    for path in result["paths"].values():
        for operation in path.values():
            _complete_responses(operation["responses"])
    result["paths"][CALLBACK_PATH] = {"post": _callback()}
    return result


def _complete_responses(responses: Document) -> None:
    for status, description in COMMON_PROBLEMS.items():
        responses.setdefault(status, {"content": PROBLEM, "description": description})
    responses["405"] = {**responses["405"], "headers": {"Allow": ALLOW}}
    for status, response in responses.items():
        if status not in WITHOUT_CACHE_CONTROL:
            response.setdefault("headers", {})["Cache-Control"] = NO_STORE
    for status in sorted(responses):
        responses[status] = responses.pop(status)


def _callback() -> Document:
    """Return the operation that receives callbacks, which is not a view of REST framework."""
    status = {"type": "object", "properties": {"status": {"type": "string"}}}
    answer = {"application/json": {"schema": {**status, "required": ["status"]}}}
    body = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": "receive_callback",
        "tags": ["callbacks"],
        "summary": "Receive a vendor's result",
        "description": "Vendors post to the callback URL of a call, which contains a token. "
        "See docs/webhooks.md.",
        "servers": [{"url": settings.PUBLIC_URL, "description": "The gateway as vendors see it"}],
        "parameters": [_callback_parameter(*each) for each in CALLBACK_PARAMETERS],
        "requestBody": {"required": True, "content": body},
        "responses": {
            **_responses(CALLBACK_ANSWERS, answer),
            **_responses(CALLBACK_PROBLEMS, PROBLEM),
        },
    }


def _callback_parameter(where: str, name: str, description: str) -> Document:
    schema = {"type": "string"} | ({"format": "uuid"} if name == "request_id" else {})
    parameter = {"in": where, "name": name, "description": description, "schema": schema}
    return parameter | ({"required": True} if where == "path" else {})


def _responses(descriptions: dict[str, str], content: Document) -> Document:
    return {
        status: {"content": content, "description": description}
        for status, description in descriptions.items()
    }
