"""The lines of a file of results, as JSON lines or as CSV."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from jobs.api.batches.serializers import REFUSED
from jobs.api.formats import ENCODER
from jobs.api.problems import not_valid
from jobs.api.serializers import iso
from vendors.payloads import exact

Paths = Sequence[tuple[str, ...]]  # of the requested fields: their names from the outside in

FIXED_COLUMNS = (
    *("index", "request_id", "reference", "status", "outcome", "error_code", "error_message"),
    *("created_at", "finished_at"),
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
MISSING = object()


class Line(NamedTuple):
    """One item of a batch."""

    batch_index: int
    request_id: str | None
    reference: str | None
    status: str
    created_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: str | None = None  # of a complete job
    result: str | None = None  # JSON text; None also if the vendor had no data
    error: dict[str, str] | None = None


def refused(batch_index: int, code: str, detail: str, errors: list[dict[str, str]] | None) -> Line:
    """Return the line of a refused item."""
    error = {"code": code, "message": detail}
    if pointer := (errors or [{}])[0].get("pointer"):
        error["pointer"] = pointer
    return Line(batch_index, None, None, REFUSED, error=error)


def paths_of(fields: str | None) -> Paths:
    """Return the paths of fields such as `name,address.city`. Raises Problem."""
    paths = [tuple(name.split(".")) for name in fields.split(",")] if fields else []
    if not all(map(all, paths)) or len(set(paths)) < len(paths):
        detail = "Separate different fields with commas, and the names of nested ones with dots."
        raise not_valid([{"parameter": "fields", "code": "bad_fields", "detail": detail}])
    return paths


class Format(Protocol):
    """A format, for a file with certain fields of the results; without any: with all of them."""

    content_type: str

    def __init__(self, paths: Paths) -> None: ...

    def head(self) -> bytes: ...

    def line(self, line: Line) -> bytes: ...


class JSONLines:
    """One JSON object a line, in ASCII: some readers end lines at U+2028 too."""

    content_type = "application/x-ndjson"

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def head(self) -> bytes:
        return b""

    def line(self, line: Line) -> bytes:
        shown: dict[str, Any] = {
            "index": line.batch_index,
            "request_id": line.request_id,
            "reference": line.reference,
            "status": line.status,
            "created_at": iso(line.created_at),
            "finished_at": iso(line.finished_at),
        }
        if line.outcome:
            shown["outcome"] = line.outcome
        if line.error:
            shown["error"] = line.error
        text = exact.COMPACT.encode(shown)
        if line.outcome:
            text = f'{text[:-1]},"result":{self._result(line.result)}}}'
        return f"{text}\n".encode()

    def _result(self, text: str | None) -> str:
        """Return the stored result, which is in ASCII already, or the requested part of it."""
        if text is None:
            return "null"
        if not self._paths:
            return text
        return exact.write(_reduced(exact.read(text), self._paths))


class CSV:
    """As RFC 4180 has it: UTF-8, CRLF, quotes where they are needed."""

    content_type = "text/csv; charset=utf-8"

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._buffer = io.StringIO()
        self._writer = csv.writer(self._buffer)

    def head(self) -> bytes:
        results = [".".join(("result", *path)) for path in self._paths] or ["result"]
        return self._row([*FIXED_COLUMNS, *results])

    def line(self, line: Line) -> bytes:
        error = line.error or {}
        texts = (line.request_id, line.reference, line.status, line.outcome)
        times = (iso(line.created_at), iso(line.finished_at))
        errors = (error.get("code"), error.get("message"))
        safe = [_harmless(text or "") for text in (*texts, *errors)]
        return self._row([line.batch_index, *safe, *times, *self._results(line.result)])

    def _results(self, text: str | None) -> list[str]:
        if text is None:
            return [""] * max(len(self._paths), 1)
        if not self._paths:  # for people to read: stored, it is in ASCII
            return [text if "\\u" not in text else exact.write(exact.read(text), ENCODER)]
        result = exact.read(text)
        return [_cell(_value_at(result, path)) for path in self._paths]

    def _row(self, cells: Sequence[Any]) -> bytes:
        self._writer.writerow(cells)
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text.encode(errors="backslashreplace")  # half of a surrogate pair


FORMATS: dict[str, type[Format]] = {"ndjson": JSONLines, "csv": CSV}


def _harmless(text: str) -> str:
    """Return the text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _cell(value: Any) -> str:
    """Return a value of a result as a cell: text as it is, anything else as JSON."""
    if value is MISSING or value is None:
        return ""
    return _harmless(value) if isinstance(value, str) else exact.write(value, ENCODER)


def _value_at(result: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(result, dict) or name not in result:
            return MISSING
        result = result[name]
    return result


def _reduced(result: Any, paths: Paths) -> dict[str, Any]:
    """Return the result with these fields only."""
    found: dict[str, Any] = {}
    for path in paths:
        value = _value_at(result, path)
        if value is not MISSING:
            inner = found
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = value
    return found
