"""What is wrong with a credential's table."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from vendors import variables
from vendors.credentials import login, oauth2, signing
from vendors.credentials.grants import Grant
from vendors.definitions.faults import DefinitionFaults, unknown_key
from vendors.definitions.request import HEADER_NAME

PLACES = ("header", "query", "body", "bearer_env", "basic")
OF_PLACES = ("header", "prefix", "query", "body", "bearer_env", "basic")
GRANTS: dict[str, Callable[[object], Grant]] = {"oauth2": oauth2.parse, "login": login.parse}
TABLES: dict[str, Callable[[object], object]] = {**GRANTS, "sign": signing.parse}
KEYS = (*OF_PLACES, "keys_env", "retired_env", *TABLES, "hosts")
ONE_PLACE = f"Name exactly one place for the key: {', '.join(PLACES[:-1])} or {PLACES[-1]}."
NAMES = 'Must be a list of names of variables, such as ["VENDOR_ACME_KEY_1", "VENDOR_ACME_KEY_2"].'
HOST = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
MAX_KEYS = 100
# They frame the request, so a key in them would break it.
FRAMING = {"host", "content-length", "content-type", "transfer-encoding", "connection", "te"}


def faults_of(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each faulty key, and a sentence that says what is wrong with it."""
    places = [place for place in PLACES if place in definition]
    for place in places[1:]:
        yield place, f"Remove it, or {places[0]}: the key stands in one place."
    for name, value in definition.items():
        if name in TABLES:
            yield from _of_table(name, value)
        elif sentence := _fault(name, value):
            yield name, sentence
    yield from _of_names(definition)
    if "prefix" in definition and "header" not in definition:
        yield "prefix", "Remove it: only a key in a header has a prefix."
    if any(name in definition for name in GRANTS):
        yield from _of_grant(definition)
    else:
        yield from _of_keys(definition, places)


def _of_keys(definition: Mapping[str, Any], places: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a credential that has keys."""
    if not places and "sign" not in definition:  # a key that signs may stand nowhere
        yield "", ONE_PLACE
    elif (places == ["bearer_env"]) == ("keys_env" in definition):
        yield "keys_env", _superfluous_or_missing("keys_env" in definition)
    names = [*_listed(definition, "keys_env"), *_listed(definition, "retired_env")]
    names += [definition["bearer_env"]] if "bearer_env" in definition else []
    if _signs_with_secret(definition) and len(names) > 1:
        yield "sign.secret_env", "Remove all keys but one: this secret belongs to one key."


def _of_grant(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a credential whose key is a token that the vendor issues."""
    grant, *others = (name for name in GRANTS if name in definition)
    for name in others:
        yield name, f"Remove it, or {grant}: tokens are asked for in one way."
    for name in ("body", "bearer_env", "basic"):
        if name in definition:
            yield name, "Remove it: a token stands in a header or in the query."
    if "keys_env" in definition:
        yield "keys_env", f"Remove it: {grant} names the variables."
    with suppress(DefinitionFaults):
        key = GRANTS[grant](definition[grant]).key
        if key in _listed(definition, "retired_env"):
            yield "retired_env", f"Remove {key}: {grant} names it."
    if "sign" in definition and not _signs_with_secret(definition):
        yield "sign.secret_env", "This key is required: a token does not sign."


def _of_table(name: str, value: object) -> Iterator[tuple[str, str]]:
    try:
        TABLES[name](value)
    except DefinitionFaults as error:
        for key, sentence in error.faults.items():
            yield f"{name}.{key}" if key else name, sentence


def _signs_with_secret(definition: Mapping[str, Any]) -> bool:
    sign = definition.get("sign")
    return isinstance(sign, Mapping) and "secret_env" in sign


def _listed(definition: Mapping[str, Any], name: str) -> list[Any]:
    value = definition.get(name)
    return value if isinstance(value, list) else []


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
        for name in _listed(definition, key):
            if isinstance(name, str) and name in seen and not _variable_fault(name):
                yield key, f"{name} is named twice. Name each variable once."
            seen.add(name if isinstance(name, str) else "")
