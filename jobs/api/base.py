"""What all views of the API have in common."""

import re

from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from jobs.api.access.authentication import Unauthorized
from jobs.api.formats import ExactJSONRenderer, JobParser, JSONOnly

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # of a job or a batch


class APIViewSet(ViewSet):
    """A view set that speaks JSON only. No cache may keep its answers or give them to others.

    Each action must be named in `scopes`, with the scopes of which a key needs one.
    """

    http_method_names = ["get", "head", "post"]  # no OPTIONS, which describes the resource
    content_negotiation_class = JSONOnly
    parser_classes = (JobParser,)
    renderer_classes = (ExactJSONRenderer,)
    scopes: dict[str, tuple[str, ...]] = {}
    waiting_actions: tuple[str, ...] = ()  # those that heed Prefer: wait

    @property
    def default_response_headers(self) -> dict[str, str]:
        headers = super().default_response_headers
        may_wait = getattr(self, "action", None) in self.waiting_actions
        vary = "Authorization, Prefer" if may_wait else "Authorization"
        return {**headers, "Cache-Control": "no-store", "Vary": vary}

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Unauthorized):
            self.headers.clear()  # the answer is the same for all resources
        return super().handle_exception(exc)
