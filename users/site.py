"""The pages where people log in, log out and change their own password, with audit entries."""

from threading import BoundedSemaphore
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.template.response import TemplateResponse

from audit.record import Actor, record
from users.forms import LoginForm

MAX_UNDER_WAY = 4  # each occupies a thread of the process, and may wait for another's hash
BUSY_SECONDS = 2

_under_way = BoundedSemaphore(MAX_UNDER_WAY)


class AccountPages(admin.AdminSite):
    login_form = LoginForm

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The login page: 429 while passwords are not even checked."""
        if request.method != "POST":
            return super().login(request, extra_context)
        if not _under_way.acquire(blocking=False):
            return _busy()
        try:
            return self._log_in(request, extra_context)
        finally:
            _under_way.release()

    def _log_in(self, request: HttpRequest, extra_context: dict[str, Any] | None) -> HttpResponse:
        response = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if seconds := getattr(form, "retry_seconds", 0):
            response.status_code = 429
            response.headers["Retry-After"] = str(seconds)
        elif request.user.is_authenticated:
            _record(request, "user.logged_in")
        return response

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        if request.method == "POST" and request.user.is_authenticated:
            _record(request, "user.logged_out")
        return super().logout(request, extra_context)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        response = super().password_change(request, extra_context)
        if request.method == "POST" and response.status_code == 302:
            _record(request, "user.password_changed")
        return response


def _busy() -> HttpResponse:
    """Refuse a login without much work: many come at once."""
    headers = {"Retry-After": str(BUSY_SECONDS)}
    return HttpResponse(loader.render_to_string("429.html"), status=429, headers=headers)


def _record(request: HttpRequest, action: str) -> None:
    name = request.user.get_username()
    record(Actor(name, request.session.address), action, f"user:{name}")  # type: ignore[attr-defined]  # of users.sessions
