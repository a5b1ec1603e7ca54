"""Sessions, users and messages are for people in the admin: a request to any other address is not
burdened with them.
"""

from collections.abc import Awaitable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class _AdminOnly(MiddlewareMixin):
    """Lets a middleware have what goes to the admin, and nothing else."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info.startswith("/admin/"):
            return super().__call__(request)
        return self.get_response(request)


class AdminSessions(_AdminOnly, SessionMiddleware):
    pass


class AdminUsers(_AdminOnly, AuthenticationMiddleware):
    pass


class AdminMessages(_AdminOnly, MessageMiddleware):
    pass
