"""Writes every row of the store to a file that `manage.py import` reads; jobs.transfer.archive
describes the file.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from jobs.transfer.archive import (
    KINDS,
    ORDER,
    VERSION,
    FaultyArchiveError,
    Row,
    end_counts,
    end_line,
    fields,
    header_line,
    lines,
    row_line,
    version_of,
)

ROWS_PER_QUERY = 5000  # rows per query: a long read keeps SQLite from truncating its log
CHUNK = 5  # rows in memory at a time; one may have several megabytes


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Open or create the file, readable only by its owner: it contains what clients sent.

    Raises BlockingIOError if another export is writing it, or another OSError.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file


class Export:
    """Writes all rows of the store to an open file, or those that an interrupted export of this
    version has not written.

    Raises FaultyArchiveError for a file that is not an export, or is one of another version.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self.is_finished = end_counts(file) is not None
        self._file = file
        self._kind, self._last_id = ORDER[0], ""
        self._ends_at = 0
        if file.seek(0, os.SEEK_END) and not self.is_finished:
            self._find_last_row()

    def _find_last_row(self) -> None:
        if (version := version_of(self._file)) != VERSION:
            raise FaultyArchiveError(f"It is an unfinished export of version {version}.")
        for line in lines(self._file):
            self.counts[line.kind] += 1
            self._kind, self._last_id = line.kind, line.columns["id"]
            self._ends_at = line.ends_at

    def __len__(self) -> int:
        """Return how many rows the store has now."""
        return sum(model._default_manager.count() for model in KINDS.values())

    def __iter__(self) -> Iterator[str]:
        """Write row after row, and yield the kind of each. The caller may stop after any row."""
        self._file.truncate(self._ends_at)
        self._file.seek(self._ends_at)
        if not self._ends_at:
            self._file.write(header_line())
        for kind in ORDER[ORDER.index(self._kind) :]:
            for row in _rows(kind, after=self._last_id if kind == self._kind else ""):
                self._file.write(row_line(kind, row))
                self.counts[kind] += 1
                yield kind
        self._file.write(end_line(self.counts))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.is_finished = True


def _rows(kind: str, *, after: str) -> Iterator[Row]:
    """Yield the rows of a kind in order of id, starting after the given id."""
    rows: Any = KINDS[kind]._default_manager.order_by("pk").values(*fields(kind))
    count = ROWS_PER_QUERY
    while count == ROWS_PER_QUERY:
        count = 0
        page = rows.filter(pk__gt=after)[:ROWS_PER_QUERY].iterator(CHUNK)
        for count, row in enumerate(page, start=1):  # noqa: B007  # the count of the last one
            yield row
            after = row["id"]
