"""Checks the name and password of a login, unless too many have failed."""

import logging
import math
from datetime import timedelta
from threading import Lock
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from users import throttle

log = logging.getLogger(__name__)

_counting = Lock()


class LoginRefused(Exception):  # noqa: N818 - what happened, as in PermissionDenied
    """The password was not checked. The sentence says why, `seconds` when to retry."""

    def __init__(self, sentence: str, seconds: int) -> None:
        super().__init__(sentence)
        self.seconds = seconds


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
        """Return the user, or None. Raises LoginRefused."""
        if request is None or username is None or password is None:
            return super().authenticate(request, username, password, **kwargs)
        account, address = throttle.account_of(username), request.session.address  # type: ignore[attr-defined]  # of users.sessions
        network = throttle.network_of(address)
        with _counting:
            if wait := throttle.wait(account, network, timezone.now()):
                raise _refusal(wait)
            throttle.count(account, network, timezone.now())
        user = super().authenticate(request, username, password)
        if user is None:
            # Without the name, which may be a password in the wrong field.
            log.warning("A login to the console failed, from %s.", address or "an unknown address")
        else:
            throttle.forgive(account, network)
        return user


def _refusal(wait: timedelta) -> LoginRefused:
    minutes = math.ceil(wait / timedelta(minutes=1))
    return LoginRefused(
        f"Too many logins have failed. Retry in {minutes} min.", math.ceil(wait.total_seconds())
    )
