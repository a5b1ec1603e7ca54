"""The form of the console's login page."""

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from users.throttle import Refused


class LoginForm(AdminAuthenticationForm):
    retry_seconds = 0  # set if the login was refused without a look at the password

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except Refused as refused:
            self.retry_seconds = refused.seconds
            raise ValidationError(str(refused), code="refused") from None
