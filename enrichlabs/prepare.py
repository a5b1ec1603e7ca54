"""python -m enrichlabs.prepare [MOCKS_URL]: prepares the store before everything else starts.

It creates the tables, the user `admin`, and the vendors of ENRICHLABS_VENDORS or, where that is
unset, the two mock vendors that MOCKS_URL serves. It may run any number of times. The exit status
is 0, or 1 with one line that says what is wrong.
"""

import logging
import sys
import time
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from enrichlabs.standalone import bootstrap, default_secrets, startup
from enrichlabs.standalone.startup import StartupError

log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    try:
        startup.load_settings()
        mocks_url = parse_mocks_url(arguments)
        default_secrets.check_settings()
        bootstrap.wait_for_store(time.monotonic() + bootstrap.STORE_TIMEOUT_SECONDS)
        bootstrap.prepare(mocks_url)
        default_secrets.check_admin()
        note_missing_key()
    except (StartupError, ImproperlyConfigured) as error:
        startup.report(error)
        return 1
    return 0


def note_missing_key() -> None:
    """Log how to make the first API key, where nobody can use the API without one."""
    if not settings.ALLOW_ANONYMOUS and not apps.get_model("clients", "ApiKey").objects.exists():
        log.warning("There is no API key yet. Make one: python manage.py api_key create")


def parse_mocks_url(arguments: list[str]) -> str:
    """Return the URL of the mock vendors, empty where there are none. Raises StartupError."""
    url = "".join(arguments[:1])
    if len(arguments) > 1 or (url and not urlsplit(url).hostname):
        raise StartupError(
            "Give no argument, or the URL of the mock vendors, such as http://vendor-mocks:8001."
        )
    return url.rstrip("/")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
