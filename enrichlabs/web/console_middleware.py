"""Session, user and message middleware for the console only; other requests don't pay for it."""

from collections.abc import Awaitable
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from jobs.api.access.addresses import client_address, is_the_clients


class _ConsoleOnly(MiddlewareMixin):
    """Applies a middleware to requests for the console only."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info.startswith("/admin/"):
            return super().__call__(request)
        return self.get_response(request)


class ConsoleSessions(_ConsoleOnly, SessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        session: Any = request.session  # of users.sessions
        session.address = client_address(request.META)
        session.knows_client = is_the_clients(request.META)


class ConsoleUsers(_ConsoleOnly, AuthenticationMiddleware):
    pass


class ConsoleMessages(_ConsoleOnly, MessageMiddleware):
    pass
