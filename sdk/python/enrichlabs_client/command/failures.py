"""How the command ends: sentences and exit statuses."""

from collections import Counter
from collections.abc import Iterator, Sequence

from enrichlabs_client.http.answers import shown
from enrichlabs_client.results import Result

PERMANENT = ("invalid_input", "blocked")  # errors that no retry removes
COMPLETE, INCOMPLETE, USAGE, SERVICE, INTERRUPTED = 0, 1, 2, 3, 130


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return the end of a sentence."""
    shown = (name if name == name.strip() else repr(name) for name in names[:most])
    text = ", ".join(shown) + (", ..." if len(names) > most else "")
    return text if text.endswith(".") else f"{text}."


class Tally:
    """What became of the rows."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """The number of rows by status."""
        self.no_data = 0
        """How many of those that are complete have no result."""
        self.may_succeed = False
        """Whether a retry may bring a result."""

    def add(self, result: Result) -> None:
        self.counts[result.status] += 1
        self.no_data += result.outcome == "no_data"
        code = result.error.code if result.error else None
        self.may_succeed |= result.status == "failed" and code not in PERMANENT

    @property
    def is_complete(self) -> bool:
        return set(self.counts) <= {"complete"}

    def __str__(self) -> str:
        """Return, for example: 3 rows, 2 complete (1 without data), 1 failed."""
        return ", ".join([counted(self.counts.total(), "row"), *self._each()])

    def _each(self) -> Iterator[str]:
        for status, number in sorted(self.counts.items()):
            note = f" ({self.no_data:,} without data)" if status == "complete" else ""
            yield f"{number:,} {shown(status)}{note if self.no_data else ''}"


class UsageError(Exception):
    """The arguments or the input must be changed. Nothing was posted."""
