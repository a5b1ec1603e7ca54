"""Credentials: where a request shows the vendor who calls, and which variable holds the key.

A definition names the place and the variable. The key itself stands in neither a row nor an
expression; it is read from the environment when a request is ready to be sent.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from vendors import variables
from vendors.definitions.faults import DefinitionFaults, unknown_key
from vendors.definitions.request import HEADER_NAME, Request

PLACES = ("header", "query", "body", "bearer_env", "basic")
KEYS = ("header", "prefix", "query", "body", "bearer_env", "basic", "keys_env", "hosts")
ONE_PLACE = f"Name exactly one place for the key: {', '.join(PLACES[:-1])} or {PLACES[-1]}."
HOST = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
# They frame the request, so a key in them would break it.
FRAMING = {"host", "content-length", "content-type", "transfer-encoding", "connection", "te"}


@dataclass(frozen=True)
class Placement:
    """`place` is header, query, body or basic; `name` is that of the header, parameter or field."""

    place: str
    name: str
    variable: str
    prefix: str = ""

    @property
    def key(self) -> str:
        """The current key; empty if the variable is not set."""
        # A key read from a file ends with a line break, which no header may hold.
        return variables.value(self.variable).strip()

    @property
    def fault(self) -> str:
        """Why the key can't be used, or ""."""
        key = self.key
        is_bare = self.place == "header"
        if key and not (key.isprintable() and (key.isascii() or not is_bare)):
            return f"The variable {self.variable} holds characters that no API key can have."
        return variables.missing(self.variable)

    @property
    def secrets(self) -> Iterator[str]:
        """Every spelling in which the key may stand in a request or be repeated in an answer."""
        if not (key := self.key):
            return
        yield from {key, quote(key, safe="")}
        if self.place == "basic":
            yield basic(key)
            # Some vendors take the key as the user, with any password.
            yield from key.partition(":")[::2]


def parse(definition: Mapping[str, Any]) -> Placement:
    """Return what a credential's table says. Raises DefinitionFaults."""
    if faults := dict(_faults(definition)):
        raise DefinitionFaults(faults)
    if variable := definition.get("bearer_env"):
        return Placement("header", "Authorization", variable, "Bearer ")
    [variable] = definition["keys_env"]
    if "basic" in definition:
        return Placement("basic", "Authorization", variable)
    [place] = [place for place in ("header", "query", "body") if place in definition]
    return Placement(place, definition[place], variable, definition.get("prefix", ""))


def apply(placement: Placement, request: Request) -> Request:
    """Return the request with the key in its place. The definition's own value there is replaced.

    Raises ValueError if the key has no place, for example in a body that is a list.
    """
    name, key = placement.name, placement.key
    match placement.place:
        case "header" | "basic":
            value = basic(key) if placement.place == "basic" else key
            prefix = "Basic " if placement.place == "basic" else placement.prefix
            others = {it: request.headers[it] for it in request.headers if not _same(it, name)}
            return replace(request, headers={**others, name: prefix + value})
        case "query":
            return replace(request, query=[*_without(request.query, name), (name, key)])
    if request.form is not None:
        return replace(request, form=[*_without(request.form, name), (name, key)])
    if isinstance(request.json, dict):
        return replace(request, json={**request.json, name: key})
    raise ValueError(
        "The credential's key belongs in the body, but the body is neither an object nor a form."
    )


def basic(key: str) -> str:
    """Return the user and the password of basic authentication as the header has them."""
    return base64.b64encode((key if ":" in key else f"{key}:").encode()).decode()


def variables_of(definition: Mapping[str, Any]) -> list[str]:
    """Return the names of variables in a definition, even in one that can't be used."""
    named = definition.get("keys_env")
    found = [definition.get("bearer_env"), *(named if isinstance(named, list) else [])]
    return [name for name in found if isinstance(name, str) and name]


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _without(pairs: list[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    return [pair for pair in pairs if pair[0] != name]


# What is wrong with a definition


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and bool(value.strip())


def _are_hosts(value: object) -> bool:
    each = value if isinstance(value, list) else [None]
    return all(isinstance(host, str) and HOST.fullmatch(host) for host in each)


def _is_prefix(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


OTHERS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "query": ("the name of a parameter, such as api_key", _is_name),
    "body": ("the name of a field, such as api_key", _is_name),
    "prefix": ('ASCII text, such as "Token "', _is_prefix),
    "basic": ("true, or left out", lambda value: value is True),
    "hosts": ('a list of hosts in lower case, such as ["files.acme.example"]', _are_hosts),
}


def _faults(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    places = [place for place in PLACES if place in definition]
    if not places:
        yield "", ONE_PLACE
    for place in places[1:]:
        yield place, f"Remove it, or {places[0]}: the key stands in one place."
    for name, value in definition.items():
        if sentence := _fault(name, value):
            yield name, sentence
    if "prefix" in definition and "header" not in definition:
        yield "prefix", "Remove it: only a key in a header has a prefix."
    if places and (places == ["bearer_env"]) == ("keys_env" in definition):
        yield "keys_env", _superfluous_or_missing("keys_env" in definition)


def _superfluous_or_missing(is_given: bool) -> str:
    if is_given:
        return "Remove it: bearer_env names the variable."
    return 'This key is required: a list with the variable\'s name, such as ["VENDOR_ACME_KEY"].'


def _fault(name: str, value: object) -> str:
    match name:
        case "header":
            return _header_fault(value)
        case "bearer_env":
            return _variable_fault(value)
        case "keys_env":
            if not isinstance(value, list) or len(value) != 1:
                return 'Must be a list with one name, such as ["VENDOR_ACME_KEY"].'
            return _variable_fault(value[0])
    if name not in KEYS:
        return unknown_key(name, KEYS)
    wanted, fits = OTHERS[name]
    return "" if fits(value) else f"Must be {wanted}."


def _header_fault(value: object) -> str:
    if not isinstance(value, str) or not HEADER_NAME.fullmatch(value):
        return "Must be the name of a header, such as X-Api-Key."
    if value.lower() in FRAMING:
        return f"{value} can't hold a key. Name the header that the vendor's documentation names."
    return ""


def _variable_fault(value: object) -> str:
    return variables.refusal(value if isinstance(value, str) else "")
