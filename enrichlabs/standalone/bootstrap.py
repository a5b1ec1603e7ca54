"""What an installation has before its first request: tables, somebody who can log in, and vendors."""

from io import StringIO
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connections

from enrichlabs.config import environment as env
from enrichlabs.config.kept_secrets import kept
from enrichlabs.standalone.preflight import Obstacle

ADMIN = "admin"
MOCKS_PATH = "/mock-vendors/"


def prepare(mocks_url: str) -> None:
    """Bring the store up to date; what an operator has changed stays. Raises Obstacle."""
    call_command("migrate", interactive=False, verbosity=0)
    make_first_admin()
    load_vendors(mocks_url)


def make_first_admin() -> None:
    """Make the superuser `admin` with a password of this installation's own, unless somebody can
    log in already.
    """
    users = get_user_model().objects
    if not users.filter(is_superuser=True).exists() and not users.filter(username=ADMIN).exists():
        password = env.text("ADMIN_PASSWORD")
        users.create_superuser(
            ADMIN,
            password=password if password.strip() else kept(settings.SECRETS / "admin_password"),
        )


def load_vendors(mocks_url: str) -> None:
    """Create the vendors of ENRICHLABS_VENDORS or, where it is unset, the two mock vendors at
    `mocks_url`.
    """
    source = [settings.VENDORS_FILE] if settings.VENDORS_FILE else ["--mocks", mocks_url]
    try:
        call_command("load_vendors", *source, "--only-new", stdout=StringIO())
    except CommandError as error:
        raise Obstacle(str(error)) from None
    move_mocks(mocks_url)


def move_mocks(mocks_url: str) -> None:
    """The mock vendors of this installation may listen on another port than the last time."""
    vendors = apps.get_model("vendors", "Vendor").objects
    for vendor in vendors.filter(
        url__startswith=f"http://{urlsplit(mocks_url).hostname}:", url__contains=MOCKS_PATH
    ):
        _, path, rest = vendor.url.partition(MOCKS_PATH)
        vendors.filter(pk=vendor.pk, url=vendor.url).update(url=f"{mocks_url}{path}{rest}")


def admin_login() -> str:
    """Return how to log in, with the password only as long as it is the one that was made at the
    first start.
    """
    admin = get_user_model().objects.filter(username=ADMIN).first()
    file = settings.SECRETS / "admin_password"
    try:
        password = kept(file) if file.exists() else ""
    except ImproperlyConfigured:
        password = ""  # it matters no more
    if admin and password and admin.check_password(password):
        return f"user {ADMIN}, password {password}"
    return (
        f"user {ADMIN}, with the password that it was given"
        if admin
        else "log in as one of your superusers"
    )


def close_store() -> None:
    """End the connections and, on MongoDB, the threads that keep them."""
    for connection in connections.all():
        getattr(connection, "close_pool", connection.close)()
