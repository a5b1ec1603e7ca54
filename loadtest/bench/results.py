"""The result of a benchmark: a table, and the readings behind it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """A line of a table: what was measured, the figure with its unit, and its ratio and aim."""

    what: str
    figure: str
    ratio: str = ""  # "2.1 x Huey", for example
    aim: str = ""  # "2 x, at least 1.7 x"


@dataclass(frozen=True)
class Table:
    """`raw` holds every reading in a form that JSON can store."""

    title: str
    lines: list[Line] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Return the table for a terminal."""
        rows = [
            ("", "measured", "ratio", "aim"),
            *((line.what, line.figure, line.ratio, line.aim) for line in self.lines),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        head, *rest = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([self.title, head, *rest])
