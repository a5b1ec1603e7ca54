"""The file that carries all rows from one store to another: JSON lines in ASCII, one row a line.

    {"format": "enrichlabs", "version": 1}
    {"kind": "job", "id": "01a2036a-3737-730f-8b75-355ab24a179b", "vendor": "async", and so on, every column}
    {"kind": "end", "vendor": 2, "job": 100000, "attempt": 100000, "callback": 33333}

Kinds come in the order of KINDS, the rows of each in that of their ids: so a file that breaks off
says by its last whole line where to go on, and no row can stand in it twice. A file without its
last line is no whole copy.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Any, NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import BaseValidator
from django.db.models import CharField, DateTimeField, Field, Model

from jobs.models import Attempt, Callback, Job
from vendors.models import Vendor
from vendors.payloads import exact

FORMAT = "enrichlabs"
VERSION = 1
# What others refer to comes before them: at no time is there a try without its job, or a job
# without its vendor.
KINDS: dict[str, type[Model]] = {
    "vendor": Vendor,
    "job": Job,
    "attempt": Attempt,
    "callback": Callback,
}
ORDER = list(KINDS)
# A column that would be taken for the kind of its row has another name in the file.
IN_FILE = {"kind": "call_kind"}
IN_ROW = {name: column for column, name in IN_FILE.items()}
END = "end"
END_BYTES = 1000  # more than the last line has
MAX_BYTES = 32 * 1024 * 1024  # of any line; the longest that we write have some 7 MB

Row = dict[str, Any]


class FaultyArchiveError(ValueError):
    """A sentence that says what is wrong with the file, and where."""


class Line(NamedTuple):
    number: int
    ends_at: int  # bytes from the beginning of the file
    kind: str
    columns: Row


def named(kind: str) -> str:
    """Return what many rows of a kind are called."""
    return str(KINDS[kind]._meta.verbose_name_plural)


def header() -> bytes:
    return _text({"format": FORMAT, "version": VERSION})


def line(kind: str, row: Row) -> bytes:
    return _text(
        {"kind": kind, **{IN_FILE.get(column, column): value for column, value in row.items()}}
    )


def end(counts: dict[str, int]) -> bytes:
    return _text({"kind": END, **counts})


@lru_cache
def fields(kind: str) -> dict[str, "Field[Any, Any]"]:
    """Return the columns of a kind of row by their names."""
    return {field.attname: field for field in KINDS[kind]._meta.concrete_fields}


def ending(file: IO[bytes]) -> dict[str, int] | None:
    """Return how many rows of each kind the last line says that there are; None where that line is
    not there.
    """
    file.seek(max(0, file.seek(0, 2) - END_BYTES))
    _, *last = file.read().rsplit(b"\n", 2)
    found = _parsed(last[0]) if last[1:] == [b""] else {}
    counts = {kind: found.get(kind, 0) for kind in KINDS}
    return (
        counts
        if found.get("kind") == END and all(isinstance(count, int) for count in counts.values())
        else None
    )


def lines(file: IO[bytes]) -> Iterator[Line]:
    """Give the rows from the beginning of the file to its end, or to a line that is not whole.

    Raises FaultyArchiveError at a line that is not as it is written.
    """
    file.seek(0)
    _know(file.readline(END_BYTES))
    ends_at, before = file.tell(), (0, "")
    for number, text in enumerate(iter(lambda: file.readline(MAX_BYTES), b""), start=2):
        if not text.endswith(b"\n") and len(text) < MAX_BYTES:
            return
        ends_at += len(text)
        columns = _parsed(text)
        kind = columns.pop("kind", None)
        if kind == END:
            return
        if kind not in ORDER or not isinstance(columns.get("id"), str):
            raise _fault(number, "is no vendor, job, attempt or callback with an id")
        if (place := (ORDER.index(kind), columns["id"])) <= before:
            raise _fault(number, "is not in the order in which rows are written")
        before = place
        yield Line(
            number,
            ends_at,
            kind,
            {IN_ROW.get(name, name): value for name, value in columns.items()},
        )


def row(of: Line) -> Row:
    """Return every column of the line as Python has it. A column that the file does not know has
    its default.

    Raises FaultyArchiveError where one is missing that has none, is unknown to us, or has a value
    that can't be kept.
    """
    columns = fields(of.kind)
    if unknown := of.columns.keys() - columns.keys():
        raise _fault(
            of.number, f"has a column that this version does not know: {', '.join(sorted(unknown))}"
        )
    return {name: _column(field, of) for name, field in columns.items()}


def _column(field: "Field[Any, Any]", of: Line) -> Any:
    if field.attname in of.columns:
        try:
            return _value(field, of.columns[field.attname])
        except (ValidationError, TypeError, ValueError, OverflowError):
            # Not their own words, which quote the value.
            raise _fault(
                of.number, f"has a value of {field.attname} that can't be kept there"
            ) from None
    if not (field.has_default() or field.null or field.blank):
        raise _fault(of.number, f"has no {field.attname}")
    return field.get_default()


def _value(field: "Field[Any, Any]", value: Any) -> Any:
    if value is None and field.null:
        return None
    value = field.to_python(value)
    if value is None or (field.choices and value and value not in dict(field.flatchoices)):
        raise ValueError
    for validator in field.validators:
        if isinstance(validator, BaseValidator):  # how long, how low, how high
            validator(value)
    if isinstance(field, CharField):
        value.encode()  # half a surrogate pair is nothing that a store takes
    if isinstance(field, DateTimeField) and value.tzinfo is None:
        raise ValueError
    return value


def _know(first: bytes) -> None:
    """Raises FaultyArchiveError unless this is the first line, or as much of it as was written."""
    if first and header().startswith(first):
        return
    found = _parsed(first)
    version = found.get("version")
    if found.get("format") != FORMAT or not isinstance(version, int):
        raise FaultyArchiveError("Line 1 is not that of an export.")
    if version > VERSION:
        raise FaultyArchiveError(
            f"Line 1 names version {version}, and this EnrichLabs reads up to {VERSION}. Update it first."
        )


def _parsed(text: bytes) -> Row:
    """Return the JSON object; an empty one where there is none."""
    try:
        found = exact.read(text.decode())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _fault(number: int, sentence: str) -> FaultyArchiveError:
    return FaultyArchiveError(f"Line {number} {sentence}.")


def _text(value: Row) -> bytes:
    return exact.write(value, ROWS).encode("ascii") + b"\n"


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


ROWS = json.JSONEncoder(separators=(",", ":"), default=_moment)
