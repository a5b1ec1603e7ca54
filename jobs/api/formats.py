"""JSON in, JSON out: how REST framework reads and writes the bodies of the jobs API."""

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any, cast

from django.conf import settings
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from jobs.api.input import bodies
from vendors.payloads import exact

ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class JSONOnly(BaseContentNegotiation):
    """Selects the first parser and the first renderer, whatever the client sends or accepts.

    The parser refuses other content types itself.
    """

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class JobParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the posted object. Raises Problem with status 400, 413 or 415."""
        request: Request = (parser_context or {})["request"]
        return bodies.read_job(request._request, settings.JOB_MAX_BYTES)


class ExactJSONRenderer(BaseRenderer):
    """Writes each number as it was read, and JSON that is JavaScript as well."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        text = exact.write(data, ENCODER)
        if not text.isascii():
            # JavaScript does not allow line separators in a string.
            text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        return text.encode()


def posted(request: Request) -> dict[str, Any]:
    """Return the posted object. Raises Problem with status 400, 413 or 415."""
    if request.stream is None:  # for REST framework an empty body is an empty object
        return bodies.read_job(request._request, settings.JOB_MAX_BYTES)
    return cast("dict[str, Any]", request.data)
