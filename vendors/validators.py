"""Validators of a vendor's settings."""

import re
from collections.abc import Container, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import idna
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from vendors import limits, variables
from vendors.base import RESERVED_INPUT
from vendors.definitions.templates.address import AFTER_HOST
from vendors.http import addresses
from vendors.registry import adapter_class

# Underscores are allowed: services in a cluster have them.
HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
MAX_HOST_LENGTH = 253
UNSAFE_CHARACTERS = re.compile(r"[\s\x00-\x1f\x7f\\]")
NOT_A_URL = "Enter a full URL that starts with https:// or http://."
METHOD = re.compile(r"[A-Z]+ +")
NO_METHOD = "Put the method in front of the URL, as in GET https://api.example.com/v1/person."
WITH_HOST = re.compile(r"https?://[^/?]+[/?]")
CUT_OFF = re.compile(r"https?://|$")
DEFAULT_PORTS = {"http": 80, "https": 443}

validate_slug = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]*\Z",
    "Use only lower-case letters, digits, - and _, and start with a letter or digit.",
    code="slug",
)


def validate_same_slug(row: Any) -> None:
    """Refuse another slug for a row that is stored: others refer to it."""
    stored = type(row).objects.filter(pk=row.pk).values_list("slug", flat=True).first()
    if stored is not None and stored != row.slug:
        raise ValidationError({"slug": f"The slug can't be changed. It is {stored!r}."})


def validate_rate_limits(text: str) -> None:
    try:
        limits.parse(text)
    except ValueError as error:
        raise ValidationError(str(error), code="rate_limits") from None


def validate_adapter(name: str) -> None:
    try:
        adapter_class(name)
    except ValueError as error:
        raise ValidationError(str(error), code="adapter") from None


def validate_variable(name: str) -> None:
    if refusal := variables.refusal(name):
        raise ValidationError(refusal, code="variable")


def validate_input_names(text: str) -> None:
    if reserved := sorted({*RESERVED_INPUT} & set(re.split(r"[,\s]+", text))):
        raise ValidationError(
            f"Remove {', '.join(reserved)}: EnrichLabs reads this field itself, and does not pass "
            "it on.",
            code="required_input",
        )


def validate_url(text: str) -> None:
    """Raises ValidationError unless vendors.http can call this URL, with or without a method.

    Whether there must be one depends on the adapter (vendors.models.validation).
    """
    if refusal := url_refusal(text) if is_plain(text) else request_url_refusal(text):
        raise ValidationError(refusal, code="url")


def is_plain(url: str) -> bool:
    """Whether this is no method and URL, as in "GET https://example.com/"."""
    return not METHOD.match(url)


def without_method(url: str) -> str:
    return METHOD.sub("", url, count=1)


def request_url_refusal(text: str) -> str:
    """Return why no request can have this method and URL; '' if it can.

    Of a URL with placeholders, what stands before the first is checked: it must name the host.
    """
    if is_plain(text):
        return NO_METHOD
    fixed, brace, _ = without_method(text).partition("{")
    if brace and CUT_OFF.match(fixed) and not WITH_HOST.match(fixed):
        return AFTER_HOST
    return url_refusal(fixed)


def at_keys(faults: Mapping[str, str], columns: Container[str] = ()) -> ValidationError:
    """Return a definition's faults as errors of the definition, or of the column of that name.

    The code of an error is its key, such as poll.every, and its message begins with it.
    """
    errors: dict[str, list[ValidationError]] = {}
    for key, sentence in faults.items():
        if key in columns:
            errors.setdefault(key, []).append(ValidationError(sentence, code=key))
        else:
            message = f"{key}: {sentence}" if key else sentence
            errors.setdefault("definition", []).append(ValidationError(message, code=key))
    return ValidationError(errors)


def url_refusal(url: str) -> str:
    """Return why no request can have this URL; '' if it can."""
    try:
        parts = urlsplit(url)
        port = parts.port  # parsed when it is read, so an invalid one raises here
    except ValueError:
        return NOT_A_URL
    host = parts.hostname or ""
    if parts.scheme not in DEFAULT_PORTS or not host or UNSAFE_CHARACTERS.search(url):
        return NOT_A_URL
    if "#" in url:
        return "Remove the # and what follows it: it is never sent."
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    return _authority_refusal(parts, port) or addresses.refusal_of_host(host, port)


def _authority_refusal(parts: SplitResult, port: int) -> str:
    if "@" in parts.netloc:
        return "Remove the user name and password. Put the key into a variable and name it below."
    if port == 0 or parts.netloc.endswith(":"):
        return "Use a port from 1 to 65535, or none."
    host = parts.hostname or ""
    return "" if _is_host(host, parts.netloc) else f"{host[:100]!r} is not a valid host name."


def _is_host(host: str, netloc: str) -> bool:
    if "[" in netloc:
        return _is_ip(host, version=6)
    try:
        # As requests encodes it for each call.
        ascii_name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except UnicodeError:
        return False
    labels = ascii_name.removesuffix(".").split(".")
    if labels[-1].isdigit():
        return _is_ip(ascii_name, version=4)
    return len(ascii_name) <= MAX_HOST_LENGTH and all(map(HOST_LABEL.fullmatch, labels))


def _is_ip(host: str, *, version: int) -> bool:
    try:
        return ip_address(host).version == version and "%" not in host
    except ValueError:
        return False
