"""What a benchmark found: lines of a table, and the raw numbers behind them."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """One line of a table: what was measured, the figure with its unit, and how it stands against
    what it is held to.
    """

    what: str
    figure: str
    ratio: str = ""  # "2.1 x Huey", for example
    aim: str = ""  # "2 x, at least 1.7 x"


@dataclass(frozen=True)
class Table:
    """What one benchmark says; `raw` holds every reading, as JSON can keep it."""

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
