"""The OpenAPI schema: made once a process, with examples that work as they come, and what no view
says of itself.
"""

import copy
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer

from jobs.api import names
from jobs.api.problems import TYPE_PREFIX
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue

Document = dict[str, Any]

MAX_EXAMPLES = 5
MOCKS_PATH = "/mock-vendors/"

JSON_OBJECT = {"application/json": {"schema": {"type": "object"}}}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemShown"}}}
NO_STORE = {"description": "Always no-store.", "schema": {"type": "string", "enum": ["no-store"]}}

VENDOR = {
    "pattern": "^[a-z0-9][a-z0-9_-]*$",
    "maxLength": 50,
    "description": "The slug of a vendor that is set up and enabled: any other is `unknown_vendor` or `vendor_disabled`.",
}
NAME = {
    "pattern": names.PATTERN,
    "description": "What the job is about. Blanks around it are dropped. It needs a character that can be seen, and may hold "
    "no U+0000 and none that turns the direction of text.",
}
OPTIONS = {
    "maxProperties": 0,
    "description": "Reserved for the gateway. No option is known yet: leave it out, or send `{}`.",
}
CURSOR = {
    "pattern": "^[.A-Za-z0-9_-]+:[A-Za-z0-9_-]+:[A-Za-z0-9_-]+$",
    "description": "Opaque: the one in `next` of the page before. Any other is refused as `bad_cursor`.",
}
ALLOW = {"description": "The methods that are allowed.", "schema": {"type": "string"}}
FOR_ALL = {
    "400": "bad_request: the host is not in ALLOWED_HOSTS",
    "405": "method_not_allowed",
}


class Schema:
    """The schema's text, by format and by the vendors of its examples."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._document: Document | None = None
        self._texts: dict[tuple[str, tuple[str, ...]], bytes] = {}

    def text(self, form: str, vendors: tuple[str, ...]) -> bytes:
        # The generator is not made for threads: two that begin at once would spoil what the library
        # keeps of its extensions.
        with self._lock:
            if self._document is None:
                self._document = SchemaGenerator().get_schema(public=True)
            if (form, vendors) not in self._texts:
                self._texts = {key: text for key, text in self._texts.items() if key[1] == vendors}
                self._texts[form, vendors] = _rendered(
                    _with_examples(self._document, vendors), form
                )
            return self._texts[form, vendors]


_schema = Schema()


def show(request: HttpRequest) -> HttpResponse:
    """Answer with the schema: YAML, or JSON for who asks for it by ?format=json or by Accept."""
    form = request.GET.get("format") or (
        "json" if "json" in request.headers.get("Accept", "") else "yaml"
    )
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
    """Return the mock vendors or, where none is set up, any other one."""
    try:
        enabled = {
            slug: vendor.url for slug, vendor in sorted(catalogue.all().items()) if vendor.enabled
        }
    except STORE_ERRORS:
        return ()
    mocks = [slug for slug, url in enabled.items() if MOCKS_PATH in url]
    # `sync` first: its result is there at once.
    mocks.sort(key=lambda slug: slug != "sync")
    return tuple(mocks[:MAX_EXAMPLES] or list(enabled)[:1])


def _with_examples(document: Document, vendors: tuple[str, ...]) -> Document:
    document = copy.deepcopy(document)
    content = document["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]
    content["examples"] = {
        vendor: {"summary": f"A job for {vendor}", "value": {"vendor": vendor, "name": "John Doe"}}
        for vendor in vendors
    } or {
        "vendor": {
            "summary": "Set up a vendor first, and name it here",
            "value": {"vendor": "acme", "name": "John Doe"},
        }
    }
    return document


def complete(result: Document, **_: Any) -> Document:
    """Say what views can't say of themselves; one of SPECTACULAR_SETTINGS' hooks."""
    result["servers"] = [{"url": "/", "description": "This gateway"}]
    posted = result["components"]["schemas"]["JobInput"]["properties"]
    posted["vendor"] |= VENDOR
    posted["name"] |= NAME
    posted["options"] |= OPTIONS
    for parameter in result["paths"]["/jobs"]["get"]["parameters"]:
        if parameter["name"] == "cursor":
            parameter["description"] = CURSOR["description"]
            parameter["schema"]["pattern"] = CURSOR["pattern"]
        if parameter["name"] == "vendor":
            parameter["schema"]["pattern"] = "^[^\\u0000]*$"
    problem = result["components"]["schemas"]["ProblemShown"]["properties"]
    problem["type"]["pattern"] = f"^{TYPE_PREFIX}"
    for path in result["paths"].values():
        for operation in path.values():
            _complete(operation["responses"])
    result["paths"]["/vendor-webhook/{vendor}/{request_id}"] = {"post": _callback()}
    return result


def _complete(responses: Document) -> None:
    for status, description in FOR_ALL.items():
        responses.setdefault(status, {"content": PROBLEM, "description": description})
    responses["405"] = {**responses["405"], "headers": {"Allow": ALLOW}}
    for status, response in responses.items():
        if status not in (
            "400",
            "405",
            "500",
            "503",
        ):  # of which some are answered before any view of ours
            response.setdefault("headers", {})["Cache-Control"] = NO_STORE
    for status in sorted(responses):
        responses[status] = responses.pop(status)


def _callback() -> Document:
    def text(name: str, where: str, description: str, **schema: Any) -> Document:
        is_path = {"required": True} if where == "path" else {}
        return {
            "in": where,
            "name": name,
            "description": description,
            "schema": {"type": "string", **schema},
            **is_path,
        }

    kept = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    answer = {"application/json": {"schema": kept}}
    problems = {
        "400": "not_an_object, body_cut_short or bad_request",
        "401": "unauthorized: the token or the signature is missing, wrong or out of date",
        "404": "unknown_vendor or not_found",
        "405": "method_not_allowed",
        "413": "too_large",
        "415": "unsupported_encoding",
        "500": "server_error",
        "503": "overloaded or store_unavailable",
    }
    return {
        "operationId": "receive_callback",
        "tags": ["callbacks"],
        "summary": "Where a vendor posts its result",
        "description": "Vendors post to the URL that came with their call, token included. See docs/webhooks.md.",
        "servers": [{"url": settings.PUBLIC_URL, "description": "Where vendors reach us"}],
        "parameters": [
            text("vendor", "path", "The vendor's slug."),
            text("request_id", "path", "The job's id.", format="uuid"),
            text("token", "query", "The token of the URL that came with the call."),
            text("webhook-id", "header", "Names the message, where callbacks are signed."),
            text("webhook-timestamp", "header", "When it was signed, in seconds since 1970."),
            text("webhook-signature", "header", "As Standard Webhooks says."),
        ],
        "requestBody": {"required": True, "content": JSON_OBJECT},
        "responses": {
            "200": {"description": "Kept: `applied`, `late` or `stored`", "content": answer},
            "202": {"description": "Kept, and we know no such job: `unmatched`", "content": answer},
            **{
                status: {"description": description, "content": PROBLEM}
                for status, description in problems.items()
            },
        },
    }
