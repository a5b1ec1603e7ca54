"""Writes every row of the store into a file that `manage.py import` reads (jobs/transfer/archive.py
says what is in it).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from jobs.transfer.archive import KINDS, ORDER, Row, end, ending, fields, header, line, lines

BATCH = (
    5000  # rows that are read in one go: SQLite can't shorten its log for as long as somebody reads
)
CHUNK = 5  # rows that are in memory at a time: one may have some megabytes


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Open the file, or make it, for its owner alone: it holds what users have sent.

    Raises BlockingIOError where another export is writing it, and other OSError.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file


class Export:
    """All rows of the store, for an open file; of one that an earlier export has begun, those that
    are missing.

    Raises FaultyArchiveError for a file that is no export.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self.is_finished = ending(file) is not None
        self._file = file
        self._kind, self._last = ORDER[0], ""
        self._ends_at = 0
        if file.seek(0, os.SEEK_END):
            for each in lines(file):
                self.counts[each.kind] += 1
                self._kind, self._last, self._ends_at = each.kind, each.columns["id"], each.ends_at

    def __len__(self) -> int:
        """Return how many rows the store has now."""
        return sum(model._default_manager.count() for model in KINDS.values())

    def __iter__(self) -> Iterator[str]:
        """Write one row after the other, and give the kind of each; it may be left after any of
        them.
        """
        self._file.truncate(self._ends_at)
        self._file.seek(self._ends_at)
        if not self._ends_at:
            self._file.write(header())
        for kind in ORDER[ORDER.index(self._kind) :]:
            for row in _rows(kind, self._last if kind == self._kind else ""):
                self._file.write(line(kind, row))
                self.counts[kind] += 1
                yield kind
        self._file.write(end(self.counts))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.is_finished = True


def _rows(kind: str, after: str) -> Iterator[Row]:
    """Give the rows of a kind in the order of their ids, from the first one behind `after`."""
    rows: Any = KINDS[kind]._default_manager.order_by("pk").values(*fields(kind))
    count = BATCH
    while count == BATCH:
        count = 0
        for count, row in enumerate(rows.filter(pk__gt=after)[:BATCH].iterator(CHUNK), start=1):  # noqa: B007
            yield row
            after = row["id"]
