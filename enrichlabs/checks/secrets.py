"""Secrets that everybody knows, or could guess."""

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password
from django.core.checks import CheckMessage, Warning

from enrichlabs.prepare import FOR_DEVELOPMENT, PASSWORD_FOR_DEVELOPMENT
from enrichlabs.standalone.bootstrap import ADMIN

SHORTEST = 32
MIN_DIFFERENT = 5
FRESH = "python -c 'import secrets; print(secrets.token_urlsafe(48))' makes one."


def of_settings() -> list[CheckMessage]:
    named = [
        ("SECRET_KEY", settings.SECRET_KEY),
        *(("CALLBACK_SECRETS", secret) for secret in settings.CALLBACK_SECRETS),
    ]
    return [issue for name, secret in named for issue in _of_secret(name, secret)]


def _of_secret(name: str, secret: str) -> list[CheckMessage]:
    if secret.startswith(FOR_DEVELOPMENT):
        return [
            Warning(
                f"{name} is a default, which everybody knows.",
                hint=f"Set your own: {FRESH}",
                id="enrichlabs.W031",
            )
        ]
    if len(secret) < SHORTEST or len(set(secret)) < MIN_DIFFERENT:
        return [
            Warning(
                f"{name} could be guessed: it is too short.",
                hint=f"Set a longer one: {FRESH}",
                id="enrichlabs.W032",
            )
        ]
    return []


def of_admin() -> list[CheckMessage]:
    """Raises one of STORE_ERRORS."""
    kept = (
        get_user_model().objects.filter(username=ADMIN).values_list("password", flat=True).first()
    )
    # Not the user's own check_password, which may write a new hash.
    if kept is None or not check_password(PASSWORD_FOR_DEVELOPMENT, kept):
        return []
    return [
        Warning(
            f"The user {ADMIN} has the default password, which everybody knows.",
            hint=f"Change it: manage.py changepassword {ADMIN}",
            id="enrichlabs.W033",
        )
    ]
