"""The published defaults of docker-compose.yml: fine for a trial, refused for a public service."""

import logging

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password

from enrichlabs.config import environment as env
from enrichlabs.standalone import preflight
from enrichlabs.standalone.bootstrap import ADMIN, weaknesses
from enrichlabs.standalone.startup import StartupError
from jobs.storage.store import STORE_ERRORS

log = logging.getLogger(__name__)

DEFAULT_PREFIX = "insecure-"
DEFAULT_PASSWORD = "insecure-password-for-development-only"  # noqa: S105 - published on purpose


def check_settings() -> None:
    """Warn about published secrets. Raises StartupError for a public service."""
    secrets = {
        "SECRET_KEY": [settings.SECRET_KEY],
        "CALLBACK_SECRETS": settings.CALLBACK_SECRETS,
        "ADMIN_PASSWORD": [env.text("ADMIN_PASSWORD")],
    }
    published = ", ".join(
        name
        for name, values in secrets.items()
        if any(value.startswith(DEFAULT_PREFIX) for value in values)
    )
    if published and is_public():
        raise StartupError(
            f"PUBLIC_URL is https://, but these have published default values: {published}. "
            "Set your own."
        )
    if published:
        log.warning("For development only: these have published default values: %s", published)


def check_admin() -> None:
    """Raise StartupError where the admin of a public service has the published password."""
    try:
        is_unsafe = is_public() and admin_has_default_password()
    except STORE_ERRORS as error:
        raise StartupError(str(preflight.explain_store_error(error))) from None
    if is_unsafe:
        raise StartupError(
            f"PUBLIC_URL is https://, but the user {ADMIN} has the published default password. "
            f"Change it: manage.py changepassword {ADMIN}"
        )


def is_public() -> bool:
    return bool(settings.PUBLIC_URL.startswith("https://"))


def admin_has_default_password() -> bool:
    """Raises one of STORE_ERRORS."""
    return _admin_has(DEFAULT_PASSWORD)


def admin_has_weak_password() -> bool:
    """Whether the admin has the password in ADMIN_PASSWORD, as of an earlier version, and the
    console would not take it any more. Raises one of STORE_ERRORS.
    """
    password = env.text("ADMIN_PASSWORD")
    return bool(password) and bool(weaknesses(password)) and _admin_has(password)


def _admin_has(password: str) -> bool:
    admins = get_user_model().objects.filter(username=ADMIN)
    password_hash = admins.values_list("password", flat=True).first()
    # Not the user's own check_password, which may write a new hash.
    return check_password(password, password_hash) if password_hash else False
