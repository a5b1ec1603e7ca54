"""Audit entries as CSV."""

import csv
import json
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any

from audit.models import Entry
from jobs.admin.audit.choice import Choice

CHUNK = 500
MAX_ROWS = 100_000
HEADINGS = (
    *("id", "at", "actor", "address", "action", "target", "reason", "changes", "bulk_action"),
)


class _Line:
    """A file that returns what is written, instead of keeping it."""

    def write(self, text: str) -> str:
        return text


def lines(choice: Choice) -> Iterator[str]:
    """Yield the file line by line: the newest MAX_ROWS entries."""
    write = csv.writer(_Line()).writerow
    yield write(HEADINGS)
    for entry in islice(_newest(choice), MAX_ROWS):
        yield write([_safe(value) for value in _values(entry)])


def _newest(choice: Choice) -> Iterator[Entry]:
    """Yield the entries in chunks: a cursor of the store would stay open as long as the reader
    takes.
    """
    found, last = choice.entries(), choice.before
    while True:
        chunk = list((found.filter(id__lt=last) if last else found)[:CHUNK])
        yield from chunk
        if len(chunk) < CHUNK:
            return
        last = chunk[-1].pk


def _values(entry: Entry) -> list[Any]:
    changes = json.dumps(entry.changes, ensure_ascii=False) if entry.changes else ""
    at = entry.at.isoformat(timespec="milliseconds")
    who = [entry.actor, entry.address]
    return [entry.pk, at, *who, entry.action, entry.target, entry.reason, changes, entry.bulk]


def _safe(text: str) -> str:
    """Return the text so that a spreadsheet does not take it for a formula."""
    # Full-width signs are formulas to some, and blanks before a sign are skipped.
    begins = unicodedata.normalize("NFKC", text[:20]).lstrip()
    return (
        f"'{text}"
        if begins.startswith(("=", "+", "-", "@")) or text.startswith(("\t", "\r", "\n"))
        else text
    )
