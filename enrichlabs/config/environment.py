"""Reads the process environment for settings: text, numbers, switches, lists and paths.

A value that is wrong does not end the reading: it is kept, and check() names all of them at once.
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

# Every variable that settings read, in whichever process. None of them can be a vendor's.
SETTINGS_VARIABLES = frozenset(
    [
        "ADAPTERS_DIR",
        "ADMIN_PASSWORD",
        "ALLOWED_HOSTS",
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
        "VENDOR_ALLOWED_ADDRESSES",
        "VENDOR_CA_FILE",
        "VENDOR_VARIABLE_PREFIXES",
        "WORKER_PROCESSES",
        "WORKER_THREADS",
    ]
)


_faults: list[str] = []


def text(name: str, default: str = "") -> str:
    """Return the variable, or `default` where it is unset or empty."""
    if name not in SETTINGS_VARIABLES:
        raise LookupError(
            f"Add {name} to SETTINGS_VARIABLES, so that no vendor can be given its value."
        )
    return os.environ.get(name) or default


def read(name: str, default: T, parse: Callable[[str], T]) -> T:
    """Return what `parse` makes of the variable, or `default` where it is unset or empty.

    What `parse` says in a ValueError goes after the name in a sentence, so it must not quote what
    could be a secret.
    """
    value = text(name).strip()
    if not value:
        return default
    try:
        return parse(value)
    except ValueError as error:
        _faults.append(f"{name} {error}")
        return default


def attempt(make: Callable[[], T], otherwise: T) -> T:
    """Return what `make` returns; where it raises ImproperlyConfigured, keep that for check() and
    return `otherwise`.
    """
    try:
        return make()
    except ImproperlyConfigured as error:
        _faults.append(str(error))
        return otherwise


def check() -> None:
    """Raise ImproperlyConfigured with a line for each value that was wrong, if any was."""
    if _faults:
        lines = "\n".join(_faults)
        _faults.clear()
        raise ImproperlyConfigured(lines)


def integer(name: str, default: int, least: int = 0, most: int = 2**31 - 1) -> int:
    return read(name, default, partial(_integer, least, most))


def _integer(least: int, most: int, value: str) -> int:
    if not re.fullmatch("-?[0-9]{1,18}", value):
        raise ValueError(f"is {value!r}, but must be a whole number.")
    if not least <= int(value) <= most:
        raise ValueError(f"is {value}, but must be between {least} and {most}.")
    return int(value)


def switch(name: str, default: bool = False) -> bool:
    return read(name, default, _switch)


def _switch(value: str) -> bool:
    if value.lower() not in ("0", "1", "false", "true", "no", "yes", "off", "on"):
        raise ValueError(f"is {value!r}, but must be 1 or 0.")
    return value.lower() in ("1", "true", "yes", "on")


def choice(name: str, default: str, choices: Collection[str]) -> str:
    """Return one of `choices`, whatever case it is written in."""
    return read(name, default, partial(_choice, choices))


def _choice(choices: Collection[str], value: str) -> str:
    for each in choices:
        if each.lower() == value.lower():
            return each
    raise ValueError(f"is {value!r}, but must be one of {', '.join(choices)}.")


def words(name: str, default: str = "", choices: Collection[str] = ()) -> list[str]:
    """Return the comma-separated parts of the variable, without blanks; each one of `choices`,
    where there are any.
    """
    return read(name, _words(default), partial(_chosen_words, choices)) or _words(default)


def _words(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _chosen_words(choices: Collection[str], value: str) -> list[str]:
    found = _words(value)
    unknown = sorted(set(found) - set(choices)) if choices else []
    if unknown:
        raise ValueError(
            f"names {', '.join(unknown)}, but there is only {', '.join(choices)}, separated by commas."
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
            f"can't be read: {error}. Write addresses or networks, such as 127.0.0.1,10.0.0.0/8."
        ) from None


def vendor_variable_prefixes() -> tuple[str, ...]:
    """Return how the variables begin that may be a vendor's."""
    return read("VENDOR_VARIABLE_PREFIXES", (), _prefixes) or ("VENDOR_",)


def _prefixes(value: str) -> tuple[str, ...]:
    for prefix in _words(value):
        if not re.fullmatch(r"[A-Z][A-Z0-9]*_([A-Z0-9]+_)*", prefix):
            raise ValueError(
                f"names {prefix!r}. Write prefixes in capitals, with _ at their end: VENDOR_,ACME_"
            )
    return tuple(_words(value))


def unneeded(doors: Collection[str]) -> set[str]:
    """Return the variables for which a process that opens these doors has no use; a worker opens
    none, and calls vendors.

    The first password of the console is for whatever prepares the installation. Keys and secrets of
    vendors are for what calls them, reads their callbacks or shows in the console whether they are
    set. Mock vendors sign with MOCK_... variables.
    """
    found = {
        name
        for name in os.environ
        if name == "ADMIN_PASSWORD" or name.startswith("DJANGO_SUPERUSER_")
    }
    if doors and not {"admin", "webhooks"} & set(doors):
        own = "MOCK_" if "mock" in doors else "-"
        vendors = {
            name
            for name in os.environ
            if name.startswith(vendor_variable_prefixes()) and not name.startswith(own)
        }
        found |= vendors - SETTINGS_VARIABLES
    return found


def path(name: str, folder: Path) -> Path | None:
    """Return the file or folder, None where none is named; ~ is the home folder, a relative path
    counts from `folder`.
    """
    return read(name, None, partial(_path, folder))


def _path(folder: Path, value: str) -> Path:
    try:
        return folder / Path(value).expanduser()
    except RuntimeError:
        raise ValueError(
            f"is {value!r}, but that home folder is not known. Write the whole path."
        ) from None


def certificates(name: str, folder: Path) -> Path | None:
    """Return the file of PEM certificates, None where none is named. Paths are read as by `path`."""
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
