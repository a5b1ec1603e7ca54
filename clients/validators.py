"""Validators of a client's and an API key's settings."""

import re
from collections.abc import Iterable
from ipaddress import IPv6Network, ip_network

from django.core.exceptions import ValidationError

from clients.scopes import Scope
from vendors import limits
from vendors.catalogue import listed
from vendors.models import Vendor
from vendors.validators import validate_slug

# Of requests in one window. Redis keeps the time of each.
MAX_REQUESTS = 100_000
NETWORK_EXAMPLES = "Write addresses or networks, such as 192.0.2.7, 10.0.0.0/8."


def words(text: str) -> tuple[str, ...]:
    """Return the words of a list that is separated by commas or white space."""
    return tuple(word for word in re.split(r"[,\s]+", text) if word)


def _refuse_separators_alone(text: str) -> None:
    """Refuse a list without a word, such as what a script makes of two unset variables: it would
    read as no restriction.
    """
    if text and not words(text):
        raise ValidationError("Write at least one word, or leave this empty.", code="words")


def validate_slugs(text: str) -> None:
    _refuse_separators_alone(text)
    for word in words(text):
        validate_slug(word)


def validate_request_limits(text: str) -> None:
    try:
        windows = limits.parse(text, to_stop="To stop a client, disable it.")
    except ValueError as error:
        raise ValidationError(str(error), code="request_limits") from None
    if any(window.calls > MAX_REQUESTS for window in windows):
        raise ValidationError(
            f"A request limit can't be above {MAX_REQUESTS}. Use a shorter period.",
            code="request_limits",
        )


def validate_scopes(text: str) -> None:
    unknown = sorted(set(words(text)) - set(Scope.values))
    if unknown or not words(text):
        named = f"There is no scope {', '.join(unknown)}. " if unknown else ""
        raise ValidationError(f"{named}Choose from {', '.join(Scope.values)}.", code="scopes")


def validate_networks(text: str) -> None:
    _refuse_separators_alone(text)
    for word in words(text):
        if fault := _network_fault(word):
            raise ValidationError(f"{fault} {NETWORK_EXAMPLES}", code="addresses")


def _network_fault(word: str) -> str:
    try:
        network = ip_network(word)
    except ValueError as error:
        return f"{error}."
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        return f"{word} is an IPv4 address written as IPv6: no request has such an address."
    return ""


def validate_vendors(slugs: Iterable[str]) -> None:
    """Refuse the slugs of vendors that do not exist. Not a validator of the field, since a vendor
    may be deleted later.
    """
    known = set(Vendor.objects.values_list("slug", flat=True))
    if unknown := set(slugs) - known:
        raise ValidationError(
            f"There is no vendor {listed(unknown)}. Known vendors: {listed(known)}.", code="vendors"
        )
