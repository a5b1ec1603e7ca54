"""The pages where people log in, log out and change their own password, with audit entries."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from audit.record import Actor, record
from users.forms import LoginForm


class AccountPages(admin.AdminSite):
    login_form = LoginForm

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The login page: 429 while passwords are not even checked."""
        response = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if seconds := getattr(form, "retry_seconds", 0):
            response.status_code = 429
            response.headers["Retry-After"] = str(seconds)
        elif request.method == "POST" and request.user.is_authenticated:
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


def _record(request: HttpRequest, action: str) -> None:
    name = request.user.get_username()
    record(Actor(name, request.session.address), action, f"user:{name}")  # type: ignore[attr-defined]  # of users.sessions
