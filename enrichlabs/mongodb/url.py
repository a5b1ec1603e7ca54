"""What a MongoDB URL says, with nothing in it that the driver would pass over with a warning."""

import re
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri, split_options

UNREADABLE = (PyMongoError, ValueError, TypeError, OSError)
ESCAPED = "In user, password and file names, write : / ? # @ % as %3A %2F %3F %23 %40 %25."


def parts(url: str) -> tuple[str, dict[str, str]]:
    """Return the name of the database ("" where the URL has none) and the options, their names in
    lower case. Asks no DNS.

    Raises ImproperlyConfigured, with a sentence that quotes nothing that could be secret.
    """
    place, _, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    for pair in pairs:
        _check_option(pair)
    # The same without the look-up that mongodb+srv: asks for; its options have been looked at.
    plain = (
        url if place.startswith("mongodb://") else place.replace("mongodb+srv://", "mongodb://", 1)
    )
    found = _parsed(plain)
    # A slash in a password ends the hosts: what comes after it would pass for a database.
    if "@" in (found["database"] or "") or found["collection"]:
        raise ImproperlyConfigured(
            f"DATABASE_URL names no database that MongoDB could have. {ESCAPED}"
        )
    return found["database"] or "", {
        name.lower(): value for name, _, value in (pair.partition("=") for pair in pairs)
    }


def _check_option(pair: str) -> None:
    name = pair.partition("=")[0]
    if not name.isidentifier():
        raise ImproperlyConfigured(
            f"DATABASE_URL has options that can't be read after its question mark. {ESCAPED}"
        )
    try:
        split_options(pair, validate=True, warn=False)
    except UNREADABLE as error:
        raise ImproperlyConfigured(
            f"DATABASE_URL has the option {name}, which can't be used: {_reason(error, name)}."
        ) from None


def _reason(error: Exception, name: str) -> str:
    if "Unknown option" in str(error):
        return "MongoDB's driver knows none of that name"
    if re.search("password|properties", name, re.IGNORECASE):
        return "its value is not allowed"  # it may be a secret, and is quoted by the driver
    return getattr(error, "strerror", None) or str(error).rstrip(".")


def _parsed(url: str) -> dict[str, Any]:
    try:
        return parse_uri(url, validate=True, warn=False)
    except UNREADABLE as error:
        reason = str(error).partition(", use ")[0].partition(" Hint:")[0].rstrip(".")
        raise ImproperlyConfigured(f"DATABASE_URL can't be read: {reason}. {ESCAPED}") from None
