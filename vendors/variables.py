"""The environment variables that hold vendors' API keys and webhook secrets.

Instead of a variable, one with `_FILE` at the end of its name may be set to the path of a file that
holds the value, as container platforms mount secrets. The file is read again when it changes.

A vendor's row names a variable. The name must begin with one of VENDOR_VARIABLE_PREFIXES, and no
setting of EnrichLabs may be read from it. Otherwise a user who may edit vendors could have
SECRET_KEY sent to a host of theirs.
"""

import base64
import os
import re
from collections.abc import Iterable

from django.conf import settings

from vendors import secret_files

SECRET_PREFIX = "whsec_"  # noqa: S105  # a marker of Standard Webhooks, not a secret
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What is shown of a name that is refused: a key may have been pasted instead.
USUAL_NAME = re.compile(r"[A-Z]+(_[A-Z0-9]+)*")


def refusal(name: str) -> str:
    """Return why a vendor may not use a variable of this name, or an empty string."""
    prefixes = settings.VENDOR_VARIABLE_PREFIXES
    is_readable = name.startswith(prefixes) and VARIABLE_NAME.fullmatch(name)
    if not is_readable and not USUAL_NAME.fullmatch(name):
        return (
            f"Enter the name of an environment variable, such as {prefixes[0]}ACME_API_KEY. "
            "The key itself belongs into that variable."
        )
    if name in settings.SETTINGS_VARIABLES:
        return f"{name} is a setting of EnrichLabs. Name another variable."
    if not name.startswith(prefixes) or name in prefixes:
        return (
            f"{name} is not read, because its name does not begin with {' or '.join(prefixes)}. "
            f"Rename the variable, for example to {prefixes[0]}{name}, "
            "or add its prefix to VENDOR_VARIABLE_PREFIXES."
        )
    return ""


def value(name: str) -> str:
    """Return the variable's current value; empty if it is not set or may not be used."""
    return "" if refusal(name) else _current(name)


def values(names: Iterable[str]) -> tuple[str, ...]:
    """Return the current values under these names, whether or not they may be used."""
    return tuple(map(_current, names))


def files_of(names: Iterable[str]) -> tuple[object, ...]:
    """Return what changes when a file with the value of one of these variables does."""
    paths = (path for name in names if (path := _path(name)))
    return tuple(secret_files.state(path) for path in paths)


def _current(name: str) -> str:
    if (value := os.environ.get(name)) is not None:
        return value
    path = _path(name)
    return secret_files.text(path) if path else ""


def _path(name: str) -> str:
    """Return the path of the file with the variable's value; '' if it is not in a file."""
    variable = f"{name}_FILE"
    if name in os.environ or variable in settings.SETTINGS_VARIABLES:
        return ""
    return os.environ.get(variable, "")


def missing(name: str) -> str:
    """Return why the variable has no value, or an empty string."""
    if reason := refusal(name):
        return reason
    if _current(name).strip(" \t\r\n,"):
        return ""
    if path := _path(name):
        return f"The file of {name}_FILE {secret_files.fault(path)}."
    return f"The variable {name} is not set."


def signing_key(secret: str) -> bytes:
    """Return the bytes of a webhook secret, or b"" if it can't be decoded.

    It is read as leniently as the reference library of Standard Webhooks does.
    """
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX) + "==")
    except ValueError:
        return b""
