"""The environment variables that hold vendors' keys and secrets. A row names them, and must not get
at any other.

A name must begin with one of VENDOR_VARIABLE_PREFIXES, and no setting of ours may be read from it:
else whoever may change vendors could have SECRET_KEY sent to a host of their own.
"""

import base64
import os
import re

from django.conf import settings

SECRET_PREFIX = "whsec_"  # noqa: S105  # how a secret may begin, as Standard Webhooks says
FORM = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def refusal(name: str) -> str:
    """Return why no vendor may have a variable of this name; empty where one may."""
    prefixes = settings.VENDOR_VARIABLE_PREFIXES
    if not FORM.fullmatch(name):
        return f"Must be the name of an environment variable, such as {prefixes[0]}ACME_API_KEY."
    if name in settings.SETTINGS_VARIABLES:
        return f"{name} can't be a vendor's: the service reads a setting from it."
    if not name.startswith(prefixes) or name in prefixes:
        return (
            f"{name} is not read, because its name does not begin with {' or '.join(prefixes)}. Rename the variable, for "
            f"example to {prefixes[0]}{name}, or add the beginning of its name to VENDOR_VARIABLE_PREFIXES."
        )
    return ""


def value(name: str) -> str:
    """Return what the variable holds now; empty where it is not set, or is none that a vendor may
    have.
    """
    return "" if refusal(name) else os.environ.get(name, "")


def missing(name: str) -> str:
    """Return why the variable holds nothing; empty where it holds something."""
    return refusal(name) or (
        "" if os.environ.get(name, "").strip(" \t\r\n,") else f"The variable {name} is not set."
    )


def signing_key(secret: str) -> bytes:
    """Return the bytes of a webhook secret, read as leniently as the library of Standard Webhooks
    does; empty for nonsense.
    """
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX) + "==")
    except ValueError:
        return b""
