"""The rows of the input, whether it is CSV or JSON lines."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass

from enrichlabs_client import json_text
from enrichlabs_client.command.failures import UsageError, counted
from enrichlabs_client.command.files import CSV, JSON_LINES, MAX_LINE, InputFile

DELIMITERS = ",;\t"
MAX_COLUMNS = 1000

Row = dict[str, str]
"""The JSON text of each value, by the name of its column."""


@dataclass(frozen=True)
class Table:
    file: InputFile
    format: str
    delimiter: str
    columns: tuple[str, ...]
    count: int

    def rows(self) -> Iterator[Row]:
        if self.format == JSON_LINES:
            return (row for _, row in _json_rows(self.file))
        return self._csv_rows()

    def _csv_rows(self) -> Iterator[Row]:
        cells = _cells(self.file, self.delimiter)
        next(cells)
        for _, row in cells:
            texts = (json.dumps(cell, ensure_ascii=False) for cell in row)
            yield dict(zip(self.columns, texts, strict=True))


def read_table(file: InputFile, format: str, delimiter: str | None) -> Table:
    """Read all rows once, to find what is wrong with them. Raises UsageError with the line."""
    if format == JSON_LINES:
        columns: dict[str, None] = {}
        count = 0
        for number, row in _json_rows(file):
            columns.update(dict.fromkeys(row))
            count += 1
            if len(columns) > MAX_COLUMNS:
                raise UsageError(f"{file.path}, line {number}: more than {MAX_COLUMNS} fields.")
        table = Table(file, format, ",", tuple(columns), count)
    else:
        table = _read_csv(file, delimiter)
    if not table.count:
        raise UsageError(f"{file.path} has no rows.")
    file.check_unchanged()
    return table


def _read_csv(file: InputFile, delimiter: str | None) -> Table:
    delimiter = delimiter or _delimiter(file)
    cells = _cells(file, delimiter)
    header_line, columns = next(cells, (1, []))
    _check_header(file, header_line, columns)
    count = 0
    for number, row in cells:
        if len(row) != len(columns):
            raise UsageError(
                f"{file.path}, line {number}: it has {counted(len(row), 'cell')}, but the header "
                f"has {counted(len(columns), 'column')}. Correct the line, or the quotes of the "
                "line before."
            )
        count += 1
    return Table(file, CSV, delimiter, tuple(columns), count)


def _check_header(file: InputFile, line: int, columns: list[str]) -> None:
    if not columns:
        raise UsageError(f"{file.path} has no header. Its first line must name the columns.")
    seen: dict[str, int] = {}
    for number, name in enumerate(columns, 1):
        if not name.strip():
            raise UsageError(
                f"{file.path}, line {line}: column {number} of the header has no name. Name it."
            )
        if name in seen:
            raise UsageError(
                f"{file.path}, line {line}: columns {seen[name]} and {number} of the header are "
                f"both named {name!r}. Rename one."
            )
        seen[name] = number


def _cells(file: InputFile, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row with the line it begins at. Blank lines are left out."""
    csv.field_size_limit(MAX_LINE)
    lines = (line for _, line in file.lines())
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    begins_at = 1
    try:
        for row in reader:
            if row:
                yield begins_at, row
            begins_at = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(
            f"{file.path}, line {begins_at}: the quotes of this row are not valid CSV ({error})."
        ) from None


def _delimiter(file: InputFile) -> str:
    """Return which of the delimiters the header has most often, outside of quotes."""
    line = next((line for _, line in file.lines() if line.strip()), "")
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _json_rows(file: InputFile) -> Iterator[tuple[int, Row]]:
    for number, line in file.lines():
        if not line.strip():
            continue
        try:
            yield number, dict(json_text.members(line.rstrip("\r\n")))
        except (ValueError, RecursionError):
            raise UsageError(f"{file.path}, line {number}: it is not a JSON object.") from None
