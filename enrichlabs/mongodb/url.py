"""Parses a MongoDB URL, and refuses what the driver would only warn about."""

import re
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri, split_options

UNREADABLE = (PyMongoError, ValueError, TypeError, OSError)
ESCAPED = "In user, password and file names, write : / ? # @ % as %3A %2F %3F %23 %40 %25."


def parts(url: str) -> tuple[str, dict[str, str]]:
    """Return the database name (empty if there is none) and the options by lower-case name, without
    any DNS query.

    Raises ImproperlyConfigured, with a message that quotes nothing that may be secret.
    """
    place, _, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    for pair in pairs:
        _check_option(pair)
    # mongodb+srv:// would query DNS. Its options were checked above.
    is_srv = place.startswith("mongodb+srv://")
    found = _parsed(place.replace("mongodb+srv://", "mongodb://", 1) if is_srv else url)
    # A slash in a password ends the hosts, and the rest looks like a database name.
    if "@" in (found["database"] or "") or found["collection"]:
        raise ImproperlyConfigured(f"DATABASE_URL has an invalid database name. {ESCAPED}")
    options = [pair.partition("=") for pair in pairs]
    return found["database"] or "", {name.lower(): value for name, _, value in options}


def _check_option(pair: str) -> None:
    name = pair.partition("=")[0]
    if not name.isidentifier():
        raise ImproperlyConfigured(
            f"DATABASE_URL has invalid options after its question mark. {ESCAPED}"
        )
    try:
        split_options(pair, validate=True, warn=False)
    except UNREADABLE as error:
        reason = _reason(error, name)
        raise ImproperlyConfigured(
            f"DATABASE_URL has the option {name}, which is invalid: {reason}."
        ) from None


def _reason(error: Exception, name: str) -> str:
    if "Unknown option" in str(error):
        return "MongoDB's driver does not know it"
    if re.search("password|properties", name, re.IGNORECASE):
        return "its value is not allowed"  # the driver quotes it, and it may be a secret
    return getattr(error, "strerror", None) or str(error).rstrip(".")


def _parsed(url: str) -> dict[str, Any]:
    try:
        return parse_uri(url, validate=True, warn=False)
    except UNREADABLE as error:
        reason = str(error).partition(", use ")[0].partition(" Hint:")[0].rstrip(".")
        raise ImproperlyConfigured(f"DATABASE_URL can't be read: {reason}. {ESCAPED}") from None
