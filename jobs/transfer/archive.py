"""The file that carries all rows from one store to another: JSON lines in ASCII, one row per line.

    {"format": "enrichlabs", "version": 2}
    {"kind": "job", "id": "01a2036a-3737-730f-8b75-355ab24a179b", "vendor": "async", ...}
    {"kind": "end", "credential": 1, "limit": 1, "vendor": 2, "client": 1, "job": 100000, ...}

A row's line has every column. Rows are grouped by kind, in the order of KINDS, and sorted by id
within a kind. The last complete line of an interrupted export therefore says where to continue, and
no row can appear twice. Only a finished export has the end line.

Version 1, as written by 0.1.0, can be read (jobs.transfer.format_1). No release has written version
2 yet, so what is added before the first one that does needs no new number.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Any, NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import BaseValidator
from django.db.models import CharField, DateTimeField, Field, Model

from clients.models import Client
from jobs.models import Attempt, Batch, Callback, Job, RefusedItem
from jobs.transfer import format_1
from vendors.models import Credential, CredentialKey, Limit, Vendor
from vendors.payloads import exact

FORMAT = "enrichlabs"
VERSION = 2
# A row comes after those that it refers to: no attempt without its job, no job without its client,
# vendor and batch. API keys stay behind: a store accepts only keys that were created for it. A
# credential, and a row that says whether a key is paused, has no key in it, only the name of the
# variable that has.
KINDS: dict[str, type[Model]] = {
    "credential": Credential,
    "credential key": CredentialKey,
    "limit": Limit,
    "vendor": Vendor,
    "client": Client,
    "batch": Batch,
    "refused item": RefusedItem,
    "job": Job,
    "attempt": Attempt,
    "callback": Callback,
}
ORDER = list(KINDS)
# In the file `kind` is the kind of row, so the column of that name is called otherwise.
FILE_NAMES = {"kind": "call_kind"}
COLUMN_NAMES = {name: column for column, name in FILE_NAMES.items()}
END = "end"
END_MAX_BYTES = 1000  # of the first line and of the end line
LINE_MAX_BYTES = 32 * 1024 * 1024  # the longest line that we write has about 7 MB

Row = dict[str, Any]


class FaultyArchiveError(ValueError):
    """A sentence that says what is wrong with the file, and where."""


class Line(NamedTuple):
    number: int
    ends_at: int  # bytes from the beginning of the file
    kind: str
    columns: Row


def plural(kind: str) -> str:
    return str(KINDS[kind]._meta.verbose_name_plural)


@lru_cache
def fields(kind: str) -> dict[str, "Field[Any, Any]"]:
    """Return the columns of a kind of row by name."""
    return {field.attname: field for field in KINDS[kind]._meta.concrete_fields}


def header_line() -> bytes:
    return _encoded({"format": FORMAT, "version": VERSION})


def row_line(kind: str, row: Row) -> bytes:
    columns = {FILE_NAMES.get(column, column): value for column, value in row.items()}
    return _encoded({"kind": kind, **columns})


def end_line(counts: dict[str, int]) -> bytes:
    return _encoded({"kind": END, **counts})


def version_of(file: IO[bytes]) -> int:
    """Return the version of the file's format, and leave the file at its second line.

    Raises FaultyArchiveError unless the first line is that of an export, or a part of it.
    """
    file.seek(0)
    first = file.readline(END_MAX_BYTES)
    if first and header_line().startswith(first):
        return VERSION
    found = _decoded(first)
    version = found.get("version")
    if found.get("format") != FORMAT or type(version) is not int or version < 1:
        raise _fault(1, "is not the first line of an export")
    if version > VERSION:
        remedy = f"This EnrichLabs reads versions up to {VERSION}: update it first"
        raise _fault(1, f"says version {version}. {remedy}")
    return version


def end_counts(file: IO[bytes]) -> dict[str, int] | None:
    """Return the number of rows of each kind that the end line states, or None if there is none."""
    file.seek(max(0, file.seek(0, 2) - END_MAX_BYTES))
    _, *last = file.read().rsplit(b"\n", 2)
    found = _decoded(last[0]) if last[1:] == [b""] else {}
    if found.pop("kind", None) != END:
        return None
    stated = format_1.upgraded_counts(found)
    counts = {kind: stated.get(kind, 0) for kind in KINDS}
    return counts if all(isinstance(count, int) for count in counts.values()) else None


def lines(file: IO[bytes]) -> Iterator[Line]:
    """Yield the rows' lines, up to the end line or an incomplete line.

    Raises FaultyArchiveError at a line that no export writes.
    """
    version = version_of(file)
    ends_at, previous = file.tell(), (0, "")
    for number, text in enumerate(iter(lambda: file.readline(LINE_MAX_BYTES), b""), start=2):
        if not text.endswith(b"\n") and len(text) < LINE_MAX_BYTES:
            return
        ends_at += len(text)
        columns = _decoded(text)
        kind = columns.pop("kind", None)
        if kind == END:
            return
        if version == 1:
            kind, columns = format_1.upgraded(kind, columns)
        if kind not in ORDER or not isinstance(columns.get("id"), str):
            raise _fault(number, f"is not a {', '.join(ORDER[:-1])} or {ORDER[-1]} with an id")
        if (position := (ORDER.index(kind), columns["id"])) <= previous:
            raise _fault(number, "is not in the order in which rows are written")
        previous = position
        columns = {COLUMN_NAMES.get(name, name): value for name, value in columns.items()}
        yield Line(number, ends_at, kind, columns)


def row(line: Line) -> Row:
    """Return the line's columns as Python values, with defaults for columns that it does not have.

    Raises FaultyArchiveError if a column is missing and has no default, is unknown, or has a value
    that can't be stored.
    """
    known = fields(line.kind)
    if unknown := line.columns.keys() - known.keys():
        names = ", ".join(sorted(unknown))
        raise _fault(line.number, f"has columns that this version does not know: {names}")
    found = {name: _column(field, line) for name, field in known.items()}
    if line.kind == "refused item" and found["id"] != RefusedItem.id_of(
        found["batch"], found["batch_index"]
    ):
        raise _fault(line.number, "has an id that is not made of its batch and index")
    if line.kind == "job" and bool(found["batch"]) != (found["batch_index"] is not None):
        raise _fault(line.number, "has a batch without an index, or an index without a batch")
    return found


def _column(field: "Field[Any, Any]", line: Line) -> Any:
    name = field.attname
    if name in line.columns:
        try:
            return _value(field, line.columns[name])
        except (ValidationError, TypeError, ValueError, OverflowError):
            # Their own messages quote the value.
            raise _fault(line.number, f"has a value of {name} that can't be stored") from None
    if not (field.has_default() or field.null or field.blank):
        raise _fault(line.number, f"has no {name}")
    return field.get_default()


def _value(field: "Field[Any, Any]", value: Any) -> Any:
    if value is None and field.null:
        return None
    value = field.to_python(value)
    if value is None or (field.choices and value and value not in dict(field.flatchoices)):
        raise ValueError
    for validator in _validators(field):
        validator(value)
    if isinstance(field, CharField):
        value.encode()  # raises for half a surrogate pair, which no store accepts
    if isinstance(field, DateTimeField) and value.tzinfo is None:
        raise ValueError
    return value


@lru_cache
def _validators(field: "Field[Any, Any]") -> list[Callable[[Any], None]]:
    """Return the validators that say the same on every machine. Those of a vendor's settings also
    ask for adapters, variables and addresses that may only exist where the vendor is called.
    """
    if field.attname == "client":
        field = fields("client")["slug"]
    if field.model is Client:
        return list(field.validators)
    return [each for each in field.validators if isinstance(each, BaseValidator)]


def _fault(number: int, sentence: str) -> FaultyArchiveError:
    return FaultyArchiveError(f"Line {number} {sentence}.")


def _decoded(text: bytes) -> Row:
    """Return the JSON object, or an empty one if the text is none."""
    try:
        found = exact.read(text.decode())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _encoded(value: Row) -> bytes:
    return exact.write(value, _ENCODER).encode("ascii") + b"\n"


def _timestamp(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_timestamp)
