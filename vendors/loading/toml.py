"""Vendors, credentials and limits in a TOML file: a table [vendors.SLUG], [credentials.SLUG] or
[limits.SLUG] for each.

Pure: text in, definitions out.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, time
from math import isfinite
from typing import Any, NamedTuple

from vendors.definitions.faults import path_of, unknown_key
from vendors.loading.keys import (
    DEFINITION_KEYS,
    HINTS,
    HTTP_KEYS,
    KINDS,
    LIMIT,
    LISTS,
    OTHER_KEYS,
    REQUIRED,
)

AT = re.compile(r"\(at line (\d+), column (\d+)\)")
INSIDE_TABLE = ("Invalid initial character for a key part", "Unclosed inline table")
ON_ONE_LINE = (
    "An inline table {{ }} stands on one line, without a comma at its end. A longer one is a table "
    "of its own, such as {}, at the end of its vendor."
)
QUOTES = 'If it is text, put quotes around it, as in "X-Api-Key".'
NO_VENDOR = "The file has no vendor. Add a table [vendors.SLUG] for each."
UNKNOWN_TABLE = (
    "Unknown key. Each vendor is a table [vendors.SLUG], each credential [credentials.SLUG], and "
    "each shared limit [limits.SLUG]."
)


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

    `definition` has the keys that are no columns. `faults` has a sentence for each key that is
    wrong or missing; it is then in neither.
    """

    slug: str
    fields: dict[str, Any]
    faults: dict[str, str] = field(default_factory=dict)
    definition: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The columns that change."""
        return [*self.fields, "definition"]

    def fault(self, name: str, message: str) -> DefinitionFault:
        return DefinitionFault(_below("vendors", self.slug, name), message)


@dataclass(frozen=True)
class SharedDefinition:
    """What vendors refer to by its slug: its table, and a sentence for each key in it that can't be
    stored. `kind` is the name of the tables: credentials or limits.
    """

    kind: str
    slug: str
    definition: dict[str, Any]
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        return ["definition"]

    def fault(self, name: str, message: str) -> DefinitionFault:
        return DefinitionFault(_below(self.kind, self.slug, name), message)


class Parsed(NamedTuple):
    """The vendors, credentials and limits of a file, and the faults outside them."""

    vendors: list[VendorDefinition]
    faults: list[DefinitionFault]
    credentials: tuple[SharedDefinition, ...] = ()
    limits: tuple[SharedDefinition, ...] = ()


def parse(text: str) -> Parsed:
    """Return what a file defines. Raises FaultyVendorsError if that is nothing."""
    document = _load(text, "[vendors.NAME.callback]")
    tables = {name: document.pop(name, {}) for name in ("vendors", "credentials", "limits")}
    faults = [DefinitionFault(path_of("", name), UNKNOWN_TABLE) for name in document]
    if not any(map(_is_table, tables.values())):
        raise FaultyVendorsError(faults or [DefinitionFault("vendors", NO_VENDOR)])
    found = {name: list(_tables(name, table, faults)) for name, table in tables.items()}
    return Parsed(
        [_vendor(*item) for item in found["vendors"]],
        faults,
        tuple(_shared("credentials", *item) for item in found["credentials"]),
        tuple(_shared("limits", *item) for item in found["limits"]),
    )


def parse_definition(text: str) -> dict[str, Any]:
    """Return the keys of a definition that stands alone. Raises FaultyVendorsError."""
    definition = _load(text, "[callback]")
    if faults := [DefinitionFault(*fault) for fault in _not_json("", definition)]:
        raise FaultyVendorsError(faults)
    return definition


def built_in(mock_url: str) -> Parsed:
    """Return the two mock vendors, served below `mock_url`."""
    base = f"{mock_url.rstrip('/')}/mock-vendors"
    sync = {"adapter": "sync", "url": f"{base}/sync", "timeout_seconds": 10}
    later = {"adapter": "async", "url": f"{base}/async", "timeout_seconds": 10}
    later["callback_timeout_seconds"] = 60
    return Parsed([VendorDefinition("sync", sync), VendorDefinition("async", later)], [])


def _load(text: str, example: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise FaultyVendorsError([DefinitionFault("", "The file is nested too deeply.")]) from None
    except ValueError as error:
        sentence = f"Not valid TOML: {error}."
        if _is_bare_text(text, str(error)):
            sentence += f" {QUOTES}"
        elif _is_in_inline_table(text, str(error)):
            sentence += f" {ON_ONE_LINE.format(example)}"
        raise FaultyVendorsError([DefinitionFault("", sentence)]) from None


def _is_bare_text(text: str, error: str) -> bool:
    """Whether a value begins with a letter: text without quotes."""
    at = AT.search(error)
    if not at or not error.startswith("Invalid value"):
        return False
    line, column = text.split("\n")[int(at[1]) - 1], int(at[2])
    return line[column - 1 : column].isalpha()


def _is_in_inline_table(text: str, error: str) -> bool:
    """Whether an inline table goes on where its line ends, or ends with a comma."""
    at = AT.search(error)
    if not at or not error.startswith(INSIDE_TABLE):
        return False
    line = text.split("\n")[int(at[1]) - 1]
    before, after = line[: int(at[2]) - 1], line[int(at[2]) - 1 :].strip()
    return "{" in before and after[:1] in ("", "#", "}")


def _is_table(tables: object) -> bool:
    return isinstance(tables, dict) and bool(tables)


def _tables(
    name: str, tables: object, faults: list[DefinitionFault]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the slug and the table of each entry, and note what is none."""
    if not isinstance(tables, dict):
        faults.append(DefinitionFault(name, f"Must be tables [{name}.SLUG]."))
        return
    for slug, table in tables.items():
        if isinstance(table, dict):
            yield slug, table
        else:
            path = path_of(name, slug)
            faults.append(DefinitionFault(path, f"Must be a table [{path}]."))


def _vendor(slug: str, table: dict[str, Any]) -> VendorDefinition:
    faults = dict(_faults(table))
    fields = {name: table[name] for name in table if name in KINDS and name not in faults}
    for name in LISTS:
        if name in fields:
            fields[name] = ", ".join(fields[name])
    for name, kind in KINDS.items():
        if kind is LIMIT and fields.get(name) == "":
            fields[name] = None
    faulty = {re.split(r"[.\[]", key, maxsplit=1)[0] for key in faults}
    definition = {name: table[name] for name in DEFINITION_KEYS if name in table.keys() - faulty}
    return VendorDefinition(slug, fields, faults, definition)


def _shared(kind: str, slug: str, table: dict[str, Any]) -> SharedDefinition:
    return SharedDefinition(kind, slug, table, dict(_not_json("", table)))


def _faults(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in REQUIRED:
        if name not in table:
            yield name, "This key is required."
    for name, value in table.items():
        if name in DEFINITION_KEYS:
            yield from _not_json(name, value)
        elif name not in KINDS:
            known = HTTP_KEYS if table.get("adapter", "http") == "http" else OTHER_KEYS
            yield path_of("", name), unknown_key(name, known, HINTS)
        elif not KINDS[name].fits(value):
            yield name, f"Must be {KINDS[name].wanted}."


def _not_json(key: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield the key and a sentence for each value that TOML has and JSON does not."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _not_json(path_of(key, name), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_json(f"{key}[{index}]", item)
    elif isinstance(value, date | time):
        yield key, f'Must be text: put quotes around it, as in "{value.isoformat()}".'
    elif isinstance(value, float) and not isfinite(value):
        yield key, "Must be a finite number."


def _below(table: str, slug: str, key: str) -> str:
    """Return the whole path of a key, which is a path itself, such as poll.every."""
    path = path_of(table, slug)
    return f"{path}.{key}" if key else path
