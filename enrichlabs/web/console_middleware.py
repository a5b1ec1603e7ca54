"""Session, user and message middleware for the console only; other requests don't pay for it."""

from collections.abc import Awaitable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from jobs.api.access.addresses import client_address

METHODS = ("GET", "HEAD", "POST")


class _ConsoleOnly(MiddlewareMixin):
    """Applies a middleware to requests for the console only."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info.startswith("/admin/"):
            return super().__call__(request)
        return self.get_response(request)


class ConsolePages(_ConsoleOnly, MiddlewareMixin):
    """Refuses methods that no page has, and keeps pages out of caches: each is for its reader."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        if request.method in METHODS:
            return None
        return _not_possible(request, ", ".join(METHODS))

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if response.status_code == 405 and not getattr(response, "content", b"-"):
            response = _not_possible(request, response.get("Allow", ""))
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _not_possible(request: HttpRequest, allowed: str) -> HttpResponseBase:
    response = render(request, "405.html", status=405)
    response.headers["Allow"] = allowed
    return response


class ConsoleSessions(_ConsoleOnly, SessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.session.address = client_address(request.META)  # type: ignore[attr-defined]  # of users.sessions


class ConsoleUsers(_ConsoleOnly, AuthenticationMiddleware):
    pass


class ConsoleMessages(_ConsoleOnly, MessageMiddleware):
    pass
