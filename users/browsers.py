"""Browsers that have logged in before: a signed cookie holds which accounts they were let in to."""

import secrets
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from users import throttle

COOKIE = "console_browser"
SALT = "users.browsers"
MAX_AGE = 365 * 24 * 3600
MAX_ACCOUNTS = 5


class Browser(NamedTuple):
    id: str
    accounts: list[str]  # throttle.account_of their names


def source_of(request: HttpRequest, account: str) -> str:
    """Return where a login to the account comes from, as users.throttle counts it."""
    browser, session = _browser(request), _session(request)
    if account in browser.accounts:
        return f"{throttle.BROWSER}{browser.id}"
    return throttle.network_of(session.address) if session.knows_client else ""


def described(request: HttpRequest) -> str:
    """Return where a login comes from, for the log."""
    session = _session(request)
    if not session.address:
        return "an unknown address"
    proxy = "" if session.knows_client else ", a proxy that TRUSTED_PROXIES does not name"
    return f"{session.address}{proxy}"


def remember(request: HttpRequest, response: HttpResponse, account: str) -> None:
    """Have the browser known from now on, after a login to the account."""
    browser = _browser(request)
    others = [each for each in browser.accounts if each != account]
    accounts = [account, *others][:MAX_ACCOUNTS]
    response.set_signed_cookie(
        COOKIE,
        ".".join([browser.id or secrets.token_hex(16), *accounts]),
        salt=SALT,
        max_age=MAX_AGE,
        secure=bool(settings.SESSION_COOKIE_SECURE),
        httponly=True,
        samesite="Lax",
    )


def _browser(request: HttpRequest) -> Browser:
    value = request.get_signed_cookie(COOKIE, default="", salt=SALT, max_age=MAX_AGE) or ""
    browser, *accounts = value.split(".")
    return Browser(browser, accounts)


def _session(request: HttpRequest) -> Any:
    return request.session  # of users.sessions
