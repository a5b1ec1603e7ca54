"""The OpenAPI document: generated once per process, with examples that work for this gateway."""

import copy
from threading import Lock
from typing import Any

from django.http import HttpRequest, HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer

from clients.directory import Caller
from jobs.api.access.authentication import Unauthorized, authenticate
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue

Document = dict[str, Any]

MAX_EXAMPLES = 5
MOCKS_PATH = "/mock-vendors/"

Example = tuple[str, tuple[str, ...]]  # a vendor's slug, and its required fields


class Schema:
    """The text of the document, cached by format and by the vendors of its examples."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._document: Document | None = None
        self._texts: dict[tuple[str, tuple[Example, ...]], bytes] = {}

    def text(self, form: str, vendors: tuple[Example, ...]) -> bytes:
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
    text = _schema.text("json" if form == "json" else "yaml", _example_vendors(request))
    headers = {
        "Content-Disposition": f'inline; filename="EnrichLabs.{renderer.format}"',
        "Vary": "Accept, Authorization",
    }
    return HttpResponse(text, renderer.media_type, headers=headers)


def _rendered(document: Document, form: str) -> bytes:
    renderer = OpenApiJsonRenderer() if form == "json" else OpenApiYamlRenderer()
    return bytes(renderer.render(document, renderer_context={}))


def _example_vendors(request: HttpRequest) -> tuple[Example, ...]:
    """Return the mock vendors or, if there are none, another vendor that the caller may use."""
    try:
        vendors = sorted(catalogue.all().items())
        caller = _caller(request)
    except STORE_ERRORS:
        return ()
    enabled = [vendor for _, vendor in vendors if vendor.enabled]
    mocks = [vendor for vendor in enabled if MOCKS_PATH in vendor.url]
    mocks.sort(key=lambda vendor: vendor.slug != "sync")  # first: its result comes at once
    usable = [vendor for vendor in enabled if caller and caller.may_use(vendor.slug)]
    return tuple((each.slug, each.required_fields) for each in mocks[:MAX_EXAMPLES] or usable[:1])


def _caller(request: HttpRequest) -> Caller | None:
    """Return who asks for the document, which needs no key but then names no real vendor."""
    try:
        return authenticate(request)
    except Unauthorized:
        return None


def _with_examples(document: Document, vendors: tuple[Example, ...]) -> Document:
    document = copy.deepcopy(document)
    content = document["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]
    content["examples"] = {
        slug: _example(f"A job for {slug}", slug, required) for slug, required in vendors
    }
    if not vendors:
        content["examples"]["vendor"] = _example("Use one of GET /vendors", "acme", ("name",))
    return document


def _example(summary: str, slug: str, required: tuple[str, ...]) -> Document:
    values = {"name": "John Doe"}
    return {
        "summary": summary,
        "value": {"vendor": slug, **{name: values.get(name, "...") for name in required}},
    }
