"""Vendors in a TOML file: a table [vendors.SLUG] for each, with the vendor's fields as keys.

Pure: text in, entries out.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
NO_VENDOR = "The file has no vendor. Add a table [vendors.SLUG] for each."
UNKNOWN_TABLE = "Unknown key. Each vendor is a table [vendors.SLUG]."


class DefinitionFault(NamedTuple):
    """What is wrong with a key, such as vendors.acme.url. Without a key, the file is not TOML."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


class FaultyVendorsError(Exception):
    """The vendors can't be loaded, because of `faults`."""

    def __init__(self, faults: list[DefinitionFault]) -> None:
        self.faults = faults
        super().__init__("\n".join(map(str, faults)))


@dataclass(frozen=True)
class VendorDefinition:
    """One vendor: the fields that its table names, as the row holds them.

    `faults` has a sentence for each key that is wrong or missing; it is then not in `fields`.
    """

    slug: str
    fields: dict[str, Any]
    faults: dict[str, str] = field(default_factory=dict)

    def fault(self, name: str, message: str) -> DefinitionFault:
        return DefinitionFault(_path("vendors", self.slug, name), message)


class Parsed(NamedTuple):
    """The vendors of a file, and the faults outside them."""

    entries: list[VendorDefinition]
    faults: list[DefinitionFault]


class ValueType(NamedTuple):
    """A type of value: `wanted` completes "Must be ..."."""

    wanted: str
    fits: Callable[[object], bool]


def _is_number(value: object) -> bool:
    # Excludes bool, infinity, NaN and what a float can't hold.
    return type(value) in (int, float) and abs(value) < 1e15  # type: ignore[arg-type]


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, str) and re.fullmatch(r"[^\s,]+", name) for name in value
    )


TEXT = ValueType('a string, such as "https://example.com"', lambda value: isinstance(value, str))
SWITCH = ValueType("true or false", lambda value: isinstance(value, bool))
WHOLE = ValueType("a whole number", lambda value: type(value) is int and _is_number(value))
NUMBER = ValueType("a number", _is_number)
NAMES = ValueType('a list of names without spaces or commas: ["ssn", "dob"]', _is_list_of_names)
KINDS = {
    "adapter": TEXT,
    "url": TEXT,
    "enabled": SWITCH,
    "rate_limits": TEXT,
    "arrival_margin_ms": WHOLE,
    "max_in_flight": WHOLE,
    "max_queued": WHOLE,
    "timeout_seconds": NUMBER,
    "max_attempts": WHOLE,
    "callback_timeout_seconds": NUMBER,
    "repeat_unknown": SWITCH,
    "repeat_overdue": SWITCH,
    "required_input": NAMES,
    "redact": NAMES,
    "api_key_env": TEXT,
    "webhook_secret_env": TEXT,
}
REQUIRED = ("adapter", "url")
LISTS = ("required_input", "redact")


def parse(text: str) -> Parsed:
    """Return the vendors of a file. Raises FaultyVendorsError if there are none to be found."""
    document = _load(text)
    tables = document.pop("vendors", None)
    faults = [DefinitionFault(_path(name), UNKNOWN_TABLE) for name in document]
    if not tables or not isinstance(tables, dict):
        raise FaultyVendorsError(faults or [DefinitionFault("vendors", NO_VENDOR)])
    entries = []
    for slug, table in tables.items():
        if isinstance(table, dict):
            entries.append(_entry(slug, table))
        else:
            path = _path("vendors", slug)
            faults.append(DefinitionFault(path, f"Must be a table [{path}]."))
    return Parsed(entries, faults)


def built_in(mock_url: str) -> Parsed:
    """Return the two mock vendors, served below `mock_url`."""
    base = f"{mock_url.rstrip('/')}/mock-vendors"
    sync = {"adapter": "sync", "url": f"{base}/sync", "timeout_seconds": 10}
    later = {"adapter": "async", "url": f"{base}/async", "timeout_seconds": 10}
    later["callback_timeout_seconds"] = 60
    return Parsed([VendorDefinition("sync", sync), VendorDefinition("async", later)], [])


def _load(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise FaultyVendorsError([DefinitionFault("", "The file is nested too deeply.")]) from None
    except ValueError as error:
        raise FaultyVendorsError([DefinitionFault("", f"Not valid TOML: {error}.")]) from None


def _entry(slug: str, table: dict[str, Any]) -> VendorDefinition:
    faults = dict(_faults(table))
    fields = {name: value for name, value in table.items() if name not in faults}
    for name in LISTS:
        if name in fields:
            fields[name] = ", ".join(fields[name])
    return VendorDefinition(slug, fields, faults)


def _faults(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in REQUIRED:
        if name not in table:
            yield name, "This key is required."
    for name, value in table.items():
        if name not in KINDS:
            yield name, f"Unknown key. The known ones are {', '.join(KINDS)}."
        elif not KINDS[name].fits(value):
            yield name, f"Must be {KINDS[name].wanted}."


def _path(*names: str) -> str:
    return ".".join(
        name if BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
        for name in names
        if name
    )
