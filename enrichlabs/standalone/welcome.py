"""What script/server prints once the service is ready."""

import json
import logging
import shlex
import sys
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured

from enrichlabs.config.kept_secrets import kept
from enrichlabs.standalone.bootstrap import ADMIN, MOCKS_PATH

log = logging.getLogger(__name__)

TEXT = """
EnrichLabs is ready. Press Ctrl-C to stop it.

  API      {url}/jobs
  Docs     {docs}
  Console  {url}/admin/
           {login}
  Keys     {keys}
           {make_key}
  Data     {data}

Post a job, then fetch its result with the request_id that is returned:

  curl {url}/jobs{header} -H 'Content-Type: application/json' -d {job}
  curl {url}/jobs/REQUEST_ID{header}

A file of rows: see README.md, with ENRICHLABS_URL={url}

"""

EXAMPLE_VENDOR = "sync"
EXAMPLE_INPUT = {"name": "John Doe", "email": "john.doe@example.com"}
HEADER = ' -H "Authorization: Bearer $API_KEY"'
MAKE_KEY = "export API_KEY=$({}script/manage api_key create)"
OPEN = "none yet. Until there is one, requests need no key."
CLOSED = "none yet. All requests are refused until there is one."
NEEDED = "every request needs one."


def show(url: str, serves_mocks: bool, allows_anonymous: bool) -> None:
    """Print where the service is and a first job to try; with LOG_FORMAT=json, log one line."""
    vendors = _served_vendors(serves_mocks)
    has_key = apps.get_model("clients", "ApiKey").objects.exists()
    keys = NEEDED if has_key else OPEN if allows_anonymous else CLOSED
    if settings.LOG_FORMAT == "json":
        # Without the password, which belongs to a person at a terminal.
        text = "EnrichLabs is ready: API %s/jobs, console %s/admin/, data in %s. API keys: %s"
        log.info(text, url, url, settings.DATA, keys)
        return
    text = TEXT.format(
        url=url,
        docs=f"{url}/docs" if settings.API_DOCS else "switched off (API_DOCS)",
        login=_login(),
        keys=keys,
        make_key=f"{'Another' if has_key else 'Make one'}: {_make_key()}",
        data=settings.DATA,
        header="" if keys == OPEN else HEADER,
        job=shlex.quote(json.dumps(_example_job(vendors))),
    )
    sys.stdout.write(text)
    sys.stdout.flush()


def _make_key() -> str:
    """Return the command that makes a key in this installation, wherever its data are."""
    is_default = settings.DATA == settings.BASE_DIR / "var"
    return MAKE_KEY.format(
        "" if is_default else f"ENRICHLABS_DATA={shlex.quote(str(settings.DATA))} "
    )


def _served_vendors(serves_mocks: bool) -> list[Any]:
    """Return the enabled vendors, and warn of those that can't be called because no mocks run."""
    vendors = apps.get_model("vendors", "Vendor").objects.filter(enabled=True).order_by("slug")
    unserved = [each for each in vendors if MOCKS_PATH in each.url and not serves_mocks]
    if unserved:
        text = (
            "These vendors are mock vendors, which are not running: %s. Disable them, or set "
            "MOCK_VENDORS=1."
        )
        log.warning(text, ", ".join(each.slug for each in unserved))
    return [each for each in vendors if each not in unserved]


def _example_job(vendors: list[Any]) -> dict[str, str]:
    """Return a job with all that its vendor requires; for the mock vendor, if it is there."""
    vendor = min(vendors, key=lambda vendor: vendor.slug != EXAMPLE_VENDOR, default=None)
    fields = vendor.required_fields if vendor else ("name",)
    values = {name: EXAMPLE_INPUT.get(name, "...") for name in fields}
    return {"vendor": vendor.slug if vendor else EXAMPLE_VENDOR, **values}


def _login() -> str:
    """Return how to log in, with the password while it is the one of the first start."""
    admin = get_user_model().objects.filter(username=ADMIN).first()
    if not admin:
        return "log in as one of your superusers"
    password = _first_password()
    if password and admin.check_password(password):
        return f"user {ADMIN}, password {password}"
    return f"user {ADMIN}, with the password that you have set"


def _first_password() -> str:
    file = settings.SECRETS / "admin_password"
    try:
        return kept(file) if file.exists() else ""
    except ImproperlyConfigured:
        return ""  # damaged, but no longer needed
