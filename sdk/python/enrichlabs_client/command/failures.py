"""How the command ends: sentences and exit statuses."""

from collections.abc import Mapping, Sequence

from enrichlabs_client.http.answers import shown

COMPLETE, INCOMPLETE, USAGE, SERVICE, INTERRUPTED = 0, 1, 2, 3, 130


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return the end of a sentence."""
    shown = (name if name == name.strip() else repr(name) for name in names[:most])
    text = ", ".join(shown) + (", ..." if len(names) > most else "")
    return text if text.endswith(".") else f"{text}."


def tally(counts: Mapping[str, int]) -> str:
    """Return, for example: 3 rows, 2 complete, 1 failed."""
    each = "".join(f", {number:,} {shown(status)}" for status, number in sorted(counts.items()))
    return counted(sum(counts.values()), "row") + each


class UsageError(Exception):
    """The arguments or the input must be changed. Nothing was posted."""
