"""Checks the name and password of a login, unless too many have failed."""

import logging
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from users import browsers, throttle

log = logging.getLogger(__name__)


class ConsoleBackend(ModelBackend):
    """Django's users and permissions, with slow logins for those who guess."""

    @sensitive_variables("username", "password")
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the user, or None. Raises throttle.Refused."""
        if request is None or username is None or password is None:
            return super().authenticate(request, username, password, **kwargs)
        account = throttle.account_of(username)
        source = browsers.source_of(request, account)
        throttle.enter(account, source)
        user = super().authenticate(request, username, password)
        if user is None:
            # Without the name, which may be a password in the wrong field.
            log.warning("A login to the console failed, from %s.", browsers.described(request))
        else:
            throttle.forgive(account, source)
        return user
