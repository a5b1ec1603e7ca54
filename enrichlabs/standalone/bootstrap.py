"""Prepares a store for its first request: tables, a first superuser and client, and vendors."""

import logging
import time
from io import StringIO
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connections

from enrichlabs.config import environment as env
from enrichlabs.config.kept_secrets import kept
from enrichlabs.standalone import preflight
from enrichlabs.standalone.startup import StartupError
from jobs.storage.store import STORE_ERRORS

log = logging.getLogger(__name__)

ADMIN = "admin"
DEFAULT_CLIENT = "default"  # clients.models can't be imported before Django is set up
MOCKS_PATH = "/mock-vendors/"
STORE_TIMEOUT_SECONDS = 60.0  # for a store that starts together with us
CHECK_INTERVAL_SECONDS = 1.0


def wait_for_store(give_up_at: float) -> None:
    """Return when the store answers. Raises StartupError when it can't be used, or does not answer
    before `give_up_at`, in monotonic time.
    """
    has_warned = False
    while found := preflight.store_fault():
        if found == preflight.WRITTEN_BY_0_1_0 or time.monotonic() > give_up_at:
            raise StartupError(str(found))
        if not has_warned:
            log.warning("%s Waiting up to %.0f s for it.", found, give_up_at - time.monotonic())
        has_warned = True
        time.sleep(CHECK_INTERVAL_SECONDS)


def prepare(mocks_url: str) -> None:
    """Migrate the store and create what is missing. It may run any number of times, and keeps what
    an operator has changed. Without `mocks_url` there are no mock vendors. Raises StartupError.
    """
    try:
        call_command("migrate", interactive=False, verbosity=0)
        create_admin()
        create_client()
        if mocks_url or settings.VENDORS_FILE:
            load_vendors(mocks_url)
    except STORE_ERRORS as error:
        fault = preflight.known_store_fault(error) or preflight.Fault(
            f"The store can't be migrated ({type(error.__cause__ or error).__name__}).",
            "Run this again. If it keeps failing, check that the user of DATABASE_URL may write "
            "and create indexes.",
        )
        raise StartupError(fault.public) from None


def create_admin() -> None:
    """Create the superuser `admin` unless a superuser exists. Its password is ADMIN_PASSWORD or,
    where that is unset, a random one kept in the data folder. Raises StartupError, also for a weak
    password.
    """
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists() or users.filter(username=ADMIN).exists():
        return
    password = env.text("ADMIN_PASSWORD")
    try:
        if not password.strip():
            password = kept(settings.SECRETS / "admin_password")
    except OSError as error:
        raise StartupError(
            f"The password of the user {ADMIN} can't be written to {settings.SECRETS} "
            f"({error.strerror}). Set ADMIN_PASSWORD."
        ) from None
    if faults := weaknesses(password):
        raise StartupError(
            f"ADMIN_PASSWORD is too weak. {' '.join(faults)} openssl rand -base64 18 generates one."
        )
    users.create_superuser(ADMIN, password=password)


def weaknesses(password: str) -> list[str]:
    """Return why the console would not take this as the admin's password; [] if it would."""
    try:
        validate_password(password, get_user_model()(username=ADMIN))
    except ValidationError as error:
        return error.messages
    return []


def create_client() -> None:
    """Create the client `default`, to which jobs from before there were clients belong."""
    apps.get_model("clients", "Client").objects.get_or_create(slug=DEFAULT_CLIENT)


def load_vendors(mocks_url: str) -> None:
    """Create the vendors of ENRICHLABS_VENDORS or, where it is unset, the two mock vendors at
    `mocks_url`. Raises StartupError.
    """
    source = [settings.VENDORS_FILE] if settings.VENDORS_FILE else ["--mocks", mocks_url]
    try:
        call_command("load_vendors", *source, "--only-new", stdout=StringIO())
    except CommandError as error:
        raise StartupError(str(error)) from None
    if mocks_url:
        _move_mocks(mocks_url)


def _move_mocks(mocks_url: str) -> None:
    """Point existing mock vendors at `mocks_url`, whose port may have changed."""
    vendors = apps.get_model("vendors", "Vendor").objects
    host = f"http://{urlsplit(mocks_url).hostname}:"
    for vendor in vendors.filter(url__startswith=host, url__contains=MOCKS_PATH):
        _, path, rest = vendor.url.partition(MOCKS_PATH)
        vendors.filter(pk=vendor.pk, url=vendor.url).update(url=f"{mocks_url}{path}{rest}")


def close_store() -> None:
    """Close all connections and, on MongoDB, the pools with their threads."""
    for connection in connections.all():
        getattr(connection, "close_pool", connection.close)()
