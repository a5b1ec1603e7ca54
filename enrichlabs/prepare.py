"""Makes an installation ready for its first request: python -m enrichlabs.prepare [MOCKS_URL],
before the rest is started.

Tables, the user `admin` and vendors, as often as it is run: those of ENRICHLABS_VENDORS or, where
it is unset, the two pretend vendors that MOCKS_URL serves. Exits with 0, or with 1 and one line
that says what is in the way.
"""

import logging
import sys
import time
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from enrichlabs.config import environment as env
from enrichlabs.standalone import bootstrap, preflight
from enrichlabs.standalone.preflight import Obstacle
from jobs.storage.errors import explain
from jobs.storage.store import STORE_ERRORS

log = logging.getLogger("enrichlabs.prepare")  # not __main__

STORE_SECONDS = 60.0  # how long a store may take to come up
CHECK_INTERVAL_SECONDS = 1.0
# How the secrets begin that docker-compose.yml has where none are set, and the whole of one.
FOR_DEVELOPMENT = "insecure-"
PASSWORD_FOR_DEVELOPMENT = "insecure-password-for-development-only"  # noqa: S105 - that is the point of it


def main(arguments: list[str]) -> int:
    try:
        preflight.load_settings()
        prepare(mocks_address(arguments))
    except (Obstacle, ImproperlyConfigured) as obstacle:
        preflight.tell(obstacle)
        return 1
    return 0


def mocks_address(arguments: list[str]) -> str:
    """Return where the mock vendors are; empty where there are none. Raises Obstacle."""
    url = "".join(arguments[:1])
    if len(arguments) > 1 or (url and not urlsplit(url).hostname):
        raise Obstacle(
            "Give nothing, or the one address of the mock vendors, such as http://vendor-mocks:8001."
        )
    return url.rstrip("/")


def prepare(mocks_url: str) -> None:
    """Bring the store up to date; what an operator has changed stays. Raises Obstacle."""
    check_secrets()
    wait_for_store(time.monotonic() + STORE_SECONDS)
    try:
        call_command("migrate", interactive=False, verbosity=0)
        make_first_admin()
        if mocks_url or settings.VENDORS_FILE:
            bootstrap.load_vendors(mocks_url)
    except STORE_ERRORS as error:
        raise Obstacle(
            explain(error)
            or f"The store could not be brought up to date ({type(error.__cause__ or error).__name__}). Run this again; "
            "if that does not help, see that the user of DATABASE_URL may write and make indexes."
        ) from None


def wait_for_store(until: float) -> None:
    """Return when the store answers. Raises Obstacle when it does not before the monotonic time
    `until`.
    """
    waits = False
    while True:
        try:
            return preflight.check_store()
        except Obstacle as obstacle:
            if time.monotonic() > until:
                raise
            if not waits:
                log.warning(
                    "%s It is waited for, %.0f s at the most.", obstacle, until - time.monotonic()
                )
            waits = True
        time.sleep(CHECK_INTERVAL_SECONDS)


def check_secrets() -> None:
    """See that a service for the public has secrets of its own; any other is told that it has not.
    Raises Obstacle.
    """
    named = {"SECRET_KEY": [settings.SECRET_KEY], "CALLBACK_SECRETS": settings.CALLBACK_SECRETS}
    named["ADMIN_PASSWORD"] = [env.text("ADMIN_PASSWORD")]
    known = [
        name
        for name, secrets in named.items()
        if any(secret.startswith(FOR_DEVELOPMENT) for secret in secrets)
    ]
    if known and is_public():
        raise Obstacle(
            f"PUBLIC_URL is https://, but everybody knows the default of {', '.join(known)}. Set your own."
        )
    if known:
        log.warning("For development only: everybody knows the default of %s", ", ".join(known))


def make_first_admin() -> None:
    try:
        bootstrap.make_first_admin()
    except OSError as error:
        raise Obstacle(
            f"The password of the user {bootstrap.ADMIN} can't be kept in {settings.SECRETS} ({error.strerror}). "
            "Set ADMIN_PASSWORD."
        ) from None
    admin = get_user_model().objects.filter(username=bootstrap.ADMIN).first()
    if is_public() and admin and admin.check_password(PASSWORD_FOR_DEVELOPMENT):
        raise Obstacle(
            f"PUBLIC_URL is https://, but the user {admin} has the password that everybody knows. "
            f"Change it: manage.py changepassword {admin}"
        )


def is_public() -> bool:
    return bool(settings.PUBLIC_URL.startswith("https://"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
