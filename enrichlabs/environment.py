"""Reads the process environment for settings: text, numbers, switches, lists and secrets."""

import os
import re
import secrets
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

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
        "VENDOR_VARIABLE_PREFIXES",
        "WORKER_PROCESSES",
        "WORKER_THREADS",
    ]
)


def text(name: str, default: str = "") -> str:
    """Return the variable, or `default` where it is unset or empty."""
    if name not in SETTINGS_VARIABLES:
        raise LookupError(f"Add {name} to SETTINGS_VARIABLES, so that no vendor can be given its value.")
    return os.environ.get(name) or default


def prefixes(name: str, default: str) -> tuple[str, ...]:
    """Return the comma-separated beginnings of names of variables."""
    found = words(name, default)
    for prefix in found:
        if not re.fullmatch(r"[A-Z][A-Z0-9]*_([A-Z0-9]+_)*", prefix, re.ASCII):
            raise ImproperlyConfigured(
                f"{name} names {prefix!r}. Write prefixes in capitals, with _ at their end: {default},ACME_"
            )
    return tuple(found)


def integer(name: str, default: int) -> int:
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}, but must be a whole number.") from None


def switch(name: str, default: bool = False) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value not in ("0", "1", "false", "true", "no", "yes", "off", "on"):
        raise ImproperlyConfigured(f"{name} is {value!r}, but must be 1 or 0.")
    return value in ("1", "true", "yes", "on")


def address(name: str, default: str) -> str:
    """Return a whole http or https address, without a slash at its end."""
    value = text(name, default).rstrip("/")
    if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname:
        raise ImproperlyConfigured(f"{name} is {value!r}, but must be a whole address such as https://jobs.example.com.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """Return the comma-separated parts of the variable, without blanks."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Return the comma-separated addresses and networks of the variable."""
    try:
        return [ip_network(word) for word in words(name)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}. Write addresses or networks, such as 127.0.0.1,10.0.0.0/8.") from None


def secret(name: str, folder: Path) -> str:
    """Return the variable or, where it is unset, the secret of this installation, made once and kept in `folder`."""
    return text(name) or kept_secret(folder / name.lower())


def kept_secret(path: Path) -> str:
    """Return what the file holds; a file that is not there is made, with a fresh secret."""
    if path.exists():
        return path.read_text()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fresh.touch(mode=0o600)
    fresh.write_text(secrets.token_urlsafe(48))
    try:
        # A link is made whole or not at all, and refuses an existing name: of several first starts, one wins.
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text()
