"""The output file: whole or absent, in CSV or JSON lines."""

import csv
import json
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import IO, Any, Protocol

from enrichlabs_client import json_text
from enrichlabs_client.command.failures import UsageError
from enrichlabs_client.command.files import CSV
from enrichlabs_client.results import Result

ENDING = ".enrichlabs-partial"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

Texts = Mapping[str, str | None]
"""JSON text by column; None for nothing."""


class SupportsWrite(Protocol):
    def write(self, text: str, /) -> Any: ...


class Writer:
    """Writes rows of JSON texts under the given columns."""

    def __init__(
        self, file: SupportsWrite, format: str, columns: Sequence[str], delimiter: str = ","
    ) -> None:
        self._file = file
        self._columns = columns
        self._csv = csv.writer(file, delimiter=delimiter) if format == CSV else None
        if self._csv:
            self._csv.writerow(map(harmless, columns))

    def write(self, row: Texts) -> None:
        if self._csv:
            self._csv.writerow(cell(row.get(column)) for column in self._columns)
        else:
            pairs = (
                f"{json.dumps(column, ensure_ascii=False)}:{row.get(column) or 'null'}"
                for column in self._columns
                if column in row
            )
            self._file.write("{" + ",".join(pairs) + "}\n")


def cell(text: str | None) -> str:
    """Return a value as a CSV cell. A text that a spreadsheet would run gets an apostrophe."""
    shown = json_text.plain(text)
    is_text = text is not None and text.startswith('"')
    return harmless(shown) if is_text else shown


def harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


@contextmanager
def whole(path: Path, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """Write a file beside `path` that takes its place at the end, or disappears."""
    path = Path(os.path.realpath(path))
    partial = path.with_name(path.name + ENDING)
    try:
        # A half of a surrogate pair, which JSON may have, is in no encoding.
        file = partial.open("w", encoding=encoding, errors="backslashreplace", newline="")
    except OSError as error:
        raise UsageError(f"{partial} can't be written: {error.strerror}.") from None
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class ResultColumns:
    """The columns about a result, named so that none of the input's has the same name."""

    def __init__(self, fields: Sequence[str] | None, taken: Iterable[str] = ()) -> None:
        names = ["status", "outcome", "error_code", "error_message"]
        self._fields = fields
        names += ["result"] if fields is None else [f"result.{field}" for field in fields]
        names.append("request_id")
        used = set(taken)
        self.names = [_free(name, used) for name in names]

    def texts(self, result: Result) -> dict[str, str | None]:
        error = result.error
        found = result.result_text
        values = [
            _text(result.status),
            _text(result.outcome),
            _text(error.code if error else None),
            _text(_message(result)),
            *(
                [found]
                if self._fields is None
                else (json_text.find(found, f) for f in self._fields)
            ),
            _text(result.id),
        ]
        return dict(zip(self.names, values, strict=True))


def _free(name: str, used: Container[str]) -> str:
    """Return the name, or else enrichlabs.NAME, enrichlabs.NAME.2 and so on. An output may be the
    input of the next submission, any number of times.
    """
    others = (f"enrichlabs.{name}.{number}" for number in count(2))
    return next(each for each in chain([name, f"enrichlabs.{name}"], others) if each not in used)


def _message(result: Result) -> str | None:
    if result.error is None:
        return None
    pointer = result.error.pointer
    return f"{pointer}: {result.error.message}" if pointer else result.error.message


def _text(value: str | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
