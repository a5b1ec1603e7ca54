from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """A request whose query and forms are UTF-8, whatever charset its Content-Type names for the
    body.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(
                meta.get("CONTENT_TYPE", "")
            )
        except (LookupError, ValueError):  # a parameter in an encoding that there is not
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    request_class = Request
