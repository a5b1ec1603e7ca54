"""Secrets that are published or can be guessed."""

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from enrichlabs.standalone.bootstrap import ADMIN
from enrichlabs.standalone.default_secrets import (
    DEFAULT_PREFIX,
    admin_has_default_password,
    admin_has_weak_password,
)

MIN_LENGTH = 32
MIN_DIFFERENT_CHARACTERS = 5
GENERATE = "python -c 'import secrets; print(secrets.token_urlsafe(48))' generates one."


def check_settings() -> list[CheckMessage]:
    named = [("SECRET_KEY", settings.SECRET_KEY)]
    named += [("CALLBACK_SECRETS", secret) for secret in settings.CALLBACK_SECRETS]
    return [issue for name, secret in named for issue in _check_secret(name, secret)]


def _check_secret(name: str, secret: str) -> list[CheckMessage]:
    if secret.startswith(DEFAULT_PREFIX):
        message = f"{name} has a published default value."
        return [Warning(message, hint=f"Set your own: {GENERATE}", id="enrichlabs.W031")]
    if len(secret) < MIN_LENGTH or len(set(secret)) < MIN_DIFFERENT_CHARACTERS:
        message = f"{name} can be guessed: it is too short or too repetitive."
        return [Warning(message, hint=f"Set a longer one: {GENERATE}", id="enrichlabs.W032")]
    return []


def check_admin() -> list[CheckMessage]:
    """Raises one of STORE_ERRORS."""
    hint = f"Change it: manage.py changepassword {ADMIN}"
    if admin_has_default_password():
        message = f"The user {ADMIN} has the published default password."
        return [Warning(message, hint=hint, id="enrichlabs.W033")]
    if admin_has_weak_password():
        message = f"The user {ADMIN} has the password in ADMIN_PASSWORD, which can be guessed."
        return [Warning(message, hint=hint, id="enrichlabs.W033")]
    return []
