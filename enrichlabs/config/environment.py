"""Reads settings from the environment: text, numbers, switches, lists and paths.

A wrong value does not raise at once: errors are collected, and check() raises them all together.
"""

import os
import re
import ssl
from collections.abc import Callable, Collection
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

# Every variable that settings read, in any process. None of them can belong to a vendor.
SETTINGS_VARIABLES = frozenset(
    [
        "ADAPTERS_DIR",
        "ADMIN_PASSWORD",
        "ALLOW_ANONYMOUS",
        "ALLOWED_HOSTS",
        "API_DOCS",
        "CALLBACK_SECRETS",
        "DATABASE_URL",
        "DEBUG",
        "ENRICHLABS_DATA",
        "ENRICHLABS_VENDORS",
        "HOST",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "MOCK_PORT",
        "MOCK_VENDORS",
        "PORT",
        "PUBLIC_URL",
        "REDIS_URL",
        "SECRET_KEY",
        "SERVES",
        "TRUSTED_PROXIES",
        "VENDOR_ALLOWED_ADDRESSES",
        "VENDOR_CA_FILE",
        "VENDOR_VARIABLE_PREFIXES",
        "WORKER_PROCESSES",
        "WORKER_THREADS",
    ]
)

_errors: list[str] = []


def text(name: str, default: str = "") -> str:
    """Return the variable, or `default` if it is unset or empty."""
    if name not in SETTINGS_VARIABLES:
        raise LookupError(f"Add {name} to SETTINGS_VARIABLES, so that no vendor can use its value.")
    return os.environ.get(name) or default


def read(name: str, default: T, parse: Callable[[str], T]) -> T:
    """Return `parse` of the variable, or `default` if it is unset or empty.

    The message of a ValueError raised by `parse` follows the variable's name in a sentence. It must
    not quote what may be a secret.
    """
    value = text(name).strip()
    if not value:
        return default
    try:
        return parse(value)
    except ValueError as error:
        _errors.append(f"{name} {error}")
        return default


def attempt(make: Callable[[], T], otherwise: T) -> T:
    """Return what `make` returns. If it raises ImproperlyConfigured, return `otherwise`, and let
    check() raise the error.
    """
    try:
        return make()
    except ImproperlyConfigured as error:
        _errors.append(str(error))
        return otherwise


def check() -> None:
    """Raise ImproperlyConfigured with a line per wrong value, if there are any."""
    if _errors:
        lines = "\n".join(_errors)
        _errors.clear()
        raise ImproperlyConfigured(lines)


def integer(name: str, default: int, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    return read(name, default, partial(_integer, minimum, maximum))


def _integer(minimum: int, maximum: int, value: str) -> int:
    if not re.fullmatch("-?[0-9]{1,18}", value):
        raise ValueError(f"is {value!r}, but must be a whole number.")
    if not minimum <= int(value) <= maximum:
        raise ValueError(f"is {value}, but must be between {minimum} and {maximum}.")
    return int(value)


def switch(name: str, default: bool = False) -> bool:
    return read(name, default, _switch)


def _switch(value: str) -> bool:
    if value.lower() not in ("0", "1", "false", "true", "no", "yes", "off", "on"):
        raise ValueError(f"is {value!r}, but must be 1 or 0.")
    return value.lower() in ("1", "true", "yes", "on")


def anonymous_access(name: str, public_url: str) -> bool:
    """Return the switch, which must be off in a service that is meant for everybody."""
    return read(name, False, partial(_anonymous_access, public_url))


def _anonymous_access(public_url: str, value: str) -> bool:
    is_allowed = _switch(value)
    if is_allowed and public_url.startswith("https://"):
        raise ValueError(
            "is 1, but PUBLIC_URL is https://: anybody could use the service. Set it to 0, and "
            "give each client an API key (manage.py api_key create)."
        )
    return is_allowed


def choice(name: str, default: str, choices: Collection[str]) -> str:
    """Return one of `choices`, ignoring case."""
    return read(name, default, partial(_choice, choices))


def _choice(choices: Collection[str], value: str) -> str:
    for each in choices:
        if each.lower() == value.lower():
            return each
    raise ValueError(f"is {value!r}, but must be one of {', '.join(choices)}.")


def words(name: str, default: str = "", choices: Collection[str] = ()) -> list[str]:
    """Return the variable's comma-separated parts, each one of `choices` if there are any."""
    return read(name, _words(default), partial(_chosen_words, choices)) or _words(default)


def _words(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _chosen_words(choices: Collection[str], value: str) -> list[str]:
    found = _words(value)
    unknown = sorted(set(found) - set(choices)) if choices else []
    if unknown:
        raise ValueError(
            f"names {', '.join(unknown)}. Choose from {', '.join(choices)}, separated by commas."
        )
    return found


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Return the comma-separated addresses and networks of the variable."""
    return read(name, [], _networks)


def _networks(value: str) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(word) for word in _words(value)]
    except ValueError as error:
        raise ValueError(
            f"can't be read: {error}. Write addresses or networks like 127.0.0.1,10.0.0.0/8."
        ) from None


def vendor_variable_prefixes() -> tuple[str, ...]:
    """Return the prefixes of the variables that vendors may use."""
    return read("VENDOR_VARIABLE_PREFIXES", (), _prefixes) or ("VENDOR_",)


def _prefixes(value: str) -> tuple[str, ...]:
    for prefix in _words(value):
        if not re.fullmatch(r"[A-Z][A-Z0-9]*_([A-Z0-9]+_)*", prefix):
            raise ValueError(
                f"names {prefix!r}. Write prefixes in capitals that end with _: VENDOR_,ACME_"
            )
    return tuple(_words(value))


def unneeded(serves: Collection[str]) -> set[str]:
    """Return the variables that a process does not need, given what it serves (settings.SERVES). A
    worker serves nothing, and calls vendors.

    The console's first password is only needed to prepare the installation. Keys and secrets of
    vendors are needed to call them, to verify their callbacks, and to show in the console whether
    they are set. Mock vendors sign with MOCK_... variables.
    """
    passwords = {name for name in os.environ if name.startswith("DJANGO_SUPERUSER_")}
    passwords |= {"ADMIN_PASSWORD"} & os.environ.keys()
    if not serves or {"admin", "webhooks"} & set(serves):
        return passwords
    of_vendors = {name for name in os.environ if name.startswith(vendor_variable_prefixes())}
    if "mock" in serves:
        of_vendors = {name for name in of_vendors if not name.startswith("MOCK_")}
    return passwords | (of_vendors - SETTINGS_VARIABLES)


def path(name: str, folder: Path) -> Path | None:
    """Return the file or folder, or None if the variable is unset. ~ is the home folder; a relative
    path is relative to `folder`.
    """
    return read(name, None, partial(_path, folder))


def _path(folder: Path, value: str) -> Path:
    try:
        return folder / Path(value).expanduser()
    except RuntimeError:
        raise ValueError(
            f"is {value!r}, but that home folder is unknown. Write the full path."
        ) from None


def certificates(name: str, folder: Path) -> Path | None:
    """Return the file of PEM certificates, or None if the variable is unset. Paths as in `path`."""
    return read(name, None, partial(_certificates, folder))


def _certificates(folder: Path, value: str) -> Path:
    file = _path(folder, value)
    try:
        file.open("rb").close()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        raise ValueError(
            f"is {value!r}, but that file holds no certificates in PEM format."
        ) from None
    except OSError as error:
        raise ValueError(f"is {value!r}, but that file can't be read: {error.strerror}.") from None
    return file
