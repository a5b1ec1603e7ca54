"""What is wrong with a credential's table."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vendors import variables
from vendors.definitions.faults import unknown_key
from vendors.definitions.request import HEADER_NAME

PLACES = ("header", "query", "body", "bearer_env", "basic")
OF_PLACES = ("header", "prefix", "query", "body", "bearer_env", "basic")
KEYS = (*OF_PLACES, "keys_env", "retired_env", "hosts")
ONE_PLACE = f"Name exactly one place for the key: {', '.join(PLACES[:-1])} or {PLACES[-1]}."
NAMES = 'Must be a list of names of variables, such as ["VENDOR_ACME_KEY_1", "VENDOR_ACME_KEY_2"].'
HOST = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
MAX_KEYS = 100
# They frame the request, so a key in them would break it.
FRAMING = {"host", "content-length", "content-type", "transfer-encoding", "connection", "te"}


def faults_of(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each faulty key, and a sentence that says what is wrong with it."""
    places = [place for place in PLACES if place in definition]
    if not places:
        yield "", ONE_PLACE
    for place in places[1:]:
        yield place, f"Remove it, or {places[0]}: the key stands in one place."
    for name, value in definition.items():
        if sentence := _fault(name, value):
            yield name, sentence
    yield from _of_names(definition)
    if "prefix" in definition and "header" not in definition:
        yield "prefix", "Remove it: only a key in a header has a prefix."
    if places and (places == ["bearer_env"]) == ("keys_env" in definition):
        yield "keys_env", _superfluous_or_missing("keys_env" in definition)


def _superfluous_or_missing(is_given: bool) -> str:
    if is_given:
        return "Remove it: bearer_env names the variable."
    return 'This key is required: a list of variables, such as ["VENDOR_ACME_KEY"].'


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


def _fault(name: str, value: object) -> str:
    match name:
        case "header":
            return _header_fault(value)
        case "bearer_env":
            return _variable_fault(value)
        case "keys_env" | "retired_env":
            return _list_fault(value)
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


def _list_fault(value: object) -> str:
    if not isinstance(value, list) or not value:
        return NAMES
    if len(value) > MAX_KEYS:
        return f"Name at most {MAX_KEYS} variables."
    return next(filter(None, map(_variable_fault, value)), "")


def _variable_fault(value: object) -> str:
    return variables.refusal(value if isinstance(value, str) else "")


def _of_names(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the lists that name a variable which is named before."""
    seen = {definition.get("bearer_env")} if isinstance(definition.get("bearer_env"), str) else {""}
    for key in ("keys_env", "retired_env"):
        names = definition.get(key)
        for name in names if isinstance(names, list) else []:
            if isinstance(name, str) and name in seen and not _variable_fault(name):
                yield key, f"{name} is named twice. Name each variable once."
            seen.add(name if isinstance(name, str) else "")
