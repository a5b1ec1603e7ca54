"""The form of the console's login page."""

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from users.throttle import Refused

MAX_NAME_LENGTH = 150


class LoginForm(AdminAuthenticationForm):
    retry_seconds = 0  # set if the login was refused without a look at the password

    def __init__(self, request: HttpRequest | None = None, *args: Any, **kwargs: Any) -> None:
        if (data := kwargs.get("data")) is not None:
            kwargs["data"] = data = data.copy()  # a name that is longer than any is not shown again
            data["username"] = data.get("username", "")[:MAX_NAME_LENGTH]
        super().__init__(request, *args, **kwargs)

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except Refused as refused:
            self.retry_seconds = refused.seconds
            raise ValidationError(str(refused), code="refused") from None
