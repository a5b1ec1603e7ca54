"""A page of a list: read by an index, newest first, and counted up to MAX_COUNTED."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

PER_PAGE = 50
MAX_COUNTED = 10_000
WINDOW = 20_000  # rows that are searched for a page if no index tells all that is asked


@dataclass(frozen=True)
class Page:
    """`older`: the position after its last row; '' if it is the last page. `first`: the number of
    its first row. `looked_at`: if filters have no index, how many rows were searched for it;
    `further` is the position from which to search the rest, '' if that was all.
    """

    rows: list[Any] = field(default_factory=list)
    older: str = ""
    count: int = 0
    first: int = 1
    looked_at: int = 0
    further: str = ""
    max_count: int = MAX_COUNTED

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def is_cut(self) -> bool:
        """Whether there are more than `count`."""
        return self.count >= self.max_count

    @property
    def next_first(self) -> int:
        return self.last + 1


def count(rows: QuerySet[Any]) -> int:
    """Return how many rows there are, or MAX_COUNTED: counting a large table takes seconds."""
    # Unordered, so that the store may use any index.
    return rows.order_by()[:MAX_COUNTED].count()


def end_of_window(rows: QuerySet[Any], before: str) -> str:
    """Return the id of the last of the next WINDOW rows, '' if there are fewer. An index must have
    the rows in order of ids.
    """
    after = rows.filter(pk__lt=before) if before else rows
    ids = after.order_by("-pk").values_list("pk", flat=True)
    return next(iter(ids[WINDOW - 1 : WINDOW]), "")


def cut(found: Sequence[Any], position: Callable[[Any], str]) -> tuple[list[Any], str]:
    """Return the rows of one page, and the position after it, of PER_PAGE + 1 rows or less."""
    rows = list(found[:PER_PAGE])
    return rows, position(rows[-1]) if len(found) > PER_PAGE else ""


def number(text: str) -> int:
    """Return the number of the first row, as the URL says it: only for show."""
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
