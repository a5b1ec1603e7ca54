"""Vendors as a TOML file says them: a table [vendors.<slug>] each, its keys the vendor's fields.
Pure: text in, entries out.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from vendors.definitions.toml_lines import Path, lines_of


class Fault(NamedTuple):
    """Something wrong, in words, and the line where it begins; line 0 where there is none."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


class FaultyVendorsError(Exception):
    """No vendor of the file may be written; `faults` says why, in the order of the file."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(faults)
        super().__init__("\n".join(map(str, self.faults)))


@dataclass(frozen=True)
class Entry:
    """One vendor: the fields that are named for it, as its row holds them, and their lines."""

    slug: str
    fields: dict[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict)
    faulty: frozenset[str] = (
        frozenset()
    )  # fields of which a fault is told already; they are not among `fields`

    def fault(self, name: str, message: str) -> Fault:
        table = ("vendors", self.slug)
        line = self.lines.get((*table, name)) or self.lines.get(table, 0)
        return Fault(line, ": ".join(part for part in (self.slug, name, message) if part))


def _is_number(value: object) -> bool:
    # Not infinite, not NaN, and nothing that a float can't hold; a bool is no number.
    return type(value) in (int, float) and abs(value) < 1e15  # type: ignore[arg-type]


def _is_field_names(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, str) and re.fullmatch(r"[^\s,]+", name) for name in value
    )


class Kind(NamedTuple):
    wanted: str
    fits: Callable[[object], bool]


TEXT = Kind('a text in quotes, such as "https://example.com"', lambda value: isinstance(value, str))
SWITCH = Kind("true or false", lambda value: isinstance(value, bool))
WHOLE = Kind("a whole number", lambda value: type(value) is int and _is_number(value))
NUMBER = Kind("a number", _is_number)
NAMES = Kind('a list of names without blanks or commas, such as ["ssn", "dob"]', _is_field_names)
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
    "redact": NAMES,
    "api_key_env": TEXT,
    "webhook_secret_env": TEXT,
}
REQUIRED = ("adapter", "url")


class Parsed(NamedTuple):
    """What a file holds: its vendors, as far as they can be read, and all that can be seen to be
    wrong without the store.
    """

    entries: list[Entry]
    faults: list[Fault]


def parse(text: str) -> Parsed:
    """Return the vendors of a file, and its faults. Raises FaultyVendorsError where it holds none
    that could be read.
    """
    document = _load(text)
    lines = lines_of(text)
    tables, faults = _tables(document, lines)
    entries = []
    for slug, table in tables.items():
        found = dict(_faults(slug, table))
        entry = Entry(slug, {}, lines, frozenset(found))
        faults += [entry.fault(name, sentence) for name, sentence in found.items()]
        if isinstance(table, dict):
            entries.append(
                replace(entry, fields=_as_row({name: table[name] for name in table.keys() - found}))
            )
    return Parsed(entries, sorted(faults))


def built_in(mock_url: str) -> Parsed:
    """Return the two mock vendors, served below `mock_url`."""
    base = mock_url.rstrip("/")
    entries = [
        Entry(
            "sync", {"adapter": "sync", "url": f"{base}/mock-vendors/sync", "timeout_seconds": 10}
        ),
        Entry(
            "async",
            {
                "adapter": "async",
                "url": f"{base}/mock-vendors/async",
                "timeout_seconds": 10,
                "callback_timeout_seconds": 60,
            },
        ),
    ]
    return Parsed(entries, [])


def _load(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise FaultyVendorsError([Fault(0, "it is nested too deeply.")]) from None
    except ValueError as error:
        message, _, place = str(error).partition(" (at ")
        at = re.match(r"line (\d+)", place)
        line = int(at[1]) if at else text.count("\n") + 1
        raise FaultyVendorsError([Fault(line, f"this is not valid TOML: {message}.")]) from None


def _tables(
    document: dict[str, Any], lines: Mapping[Path, int]
) -> tuple[dict[str, Any], list[Fault]]:
    tables = document.get("vendors")
    faults = [
        Fault(lines[(name,)], f"{name!r} is not known; each vendor is a table [vendors.<slug>].")
        for name in document
        if name != "vendors"
    ]
    if tables and isinstance(tables, dict):
        return tables, faults
    raise FaultyVendorsError(
        faults
        or [
            Fault(
                lines.get(("vendors",), 1), "there is no vendor; each is a table [vendors.<slug>]."
            )
        ]
    )


def _faults(slug: str, table: object) -> Iterator[tuple[str, str]]:
    """Give the fields of a vendor that are wrong, and what is wrong with each."""
    if not isinstance(table, dict):
        yield "", f"must be a table [vendors.{slug}]."
        return
    for name, value in table.items():
        if name not in KINDS:
            yield name, f"is not known; there are {', '.join(KINDS)}."
        elif not KINDS[name].fits(value):
            yield name, f"must be {KINDS[name].wanted}."
    for name in REQUIRED:
        if name not in table:
            yield name, "is missing."


def _as_row(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: ", ".join(value) if name == "redact" else value for name, value in fields.items()}
