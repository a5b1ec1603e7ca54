"""Django's request and handler, with one difference."""

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """A request whose query and forms are UTF-8, whatever charset its Content-Type names."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        content_type = meta.get("CONTENT_TYPE", "")
        try:
            self.content_type, self.content_params = parse_header_parameters(content_type)
        except (LookupError, ValueError):  # a parameter in an unknown encoding
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    request_class = Request
