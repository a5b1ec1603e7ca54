"""The pages where people log in, log out and change their own password, with audit entries."""

import logging
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.template.response import TemplateResponse

from audit.record import Actor, record
from users import browsers, throttle
from users.forms import LoginForm

log = logging.getLogger(__name__)

MAX_UNDER_WAY = 4  # each occupies a thread of the process, and may wait for another's hash
BUSY_SECONDS = 2
BUSY = f"Too many people are logging in at the moment. Retry in {BUSY_SECONDS} s."

_under_way = BoundedSemaphore(MAX_UNDER_WAY)


class AccountPages(admin.AdminSite):
    login_form = LoginForm

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The login page: 429 while passwords are not even checked."""
        if request.method != "POST":
            return super().login(request, extra_context)
        return _check_few(lambda: self._log_in(request, extra_context))

    def _log_in(self, request: HttpRequest, extra_context: dict[str, Any] | None) -> HttpResponse:
        response = super().login(request, extra_context)
        if response.status_code == 302:
            browsers.remember(request, response, _account(request))
            _record(request, "user.logged_in")
        elif seconds := getattr(_form(response), "retry_seconds", 0):
            response.status_code = 429
            response.headers["Retry-After"] = str(seconds)
        return response

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        if request.method == "POST" and request.user.is_authenticated:
            _record(request, "user.logged_out")
        return super().logout(request, extra_context)

    def password_change(  # type: ignore[override]  # 429 has a page of its own
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one's own password. The old one can't be guessed faster than at a login."""
        if request.method != "POST":
            return super().password_change(request, extra_context)
        return _check_few(lambda: self._change_password(request, extra_context))

    def _change_password(
        self, request: HttpRequest, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        account = _account(request)
        source = browsers.source_of(request, account)
        try:
            throttle.enter(account, source)
        except throttle.Refused as refused:
            return _too_many(str(refused), refused.seconds)
        response = super().password_change(request, extra_context)
        if response.status_code == 302:
            _record(request, "user.password_changed")
        if "old_password" not in getattr(_form(response), "errors", ()):
            throttle.forgive(account, source)
        else:
            log.warning("An old password was wrong, from %s.", browsers.described(request))
        return response


def _check_few(check: Callable[[], HttpResponse]) -> HttpResponse:
    """Refuse to check a password, without much work, if many are being checked."""
    if not _under_way.acquire(blocking=False):
        return _too_many(BUSY, BUSY_SECONDS)
    try:
        return check()
    finally:
        _under_way.release()


def _too_many(sentence: str, seconds: int) -> HttpResponse:
    page = loader.render_to_string("429.html", {"sentence": sentence})
    return HttpResponse(page, status=429, headers={"Retry-After": str(seconds)})


def _form(response: HttpResponse) -> Any:
    return (getattr(response, "context_data", None) or {}).get("form")


def _account(request: HttpRequest) -> str:
    return throttle.account_of(request.user.get_username())


def _record(request: HttpRequest, action: str) -> None:
    name = request.user.get_username()
    record(Actor(name, request.session.address), action, f"user:{name}")  # type: ignore[attr-defined]  # of users.sessions
