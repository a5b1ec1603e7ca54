"""What differs between a row and a table, key by key."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from vendors.definitions.faults import path_of
from vendors.payloads import exact

MAX_LENGTH = 300


class _NotSet:
    def __repr__(self) -> str:
        return "not set"


NOT_SET = _NotSet()


class Change(NamedTuple):
    """A key whose value differs. In a definition it is a path, such as poll.every."""

    name: str
    old: Any
    new: Any

    def shown(self, arrow: str) -> str:
        return f"{self.name}: {_shown(self.old)} {arrow} {_shown(self.new)}"


def changes(old: Any, new: Any, path: str = "") -> Iterator[Change]:
    """Yield what differs between two values, and in tables which keys. Their order is no matter."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            values = (old.get(name, NOT_SET), new.get(name, NOT_SET))
            yield from changes(*values, path_of(path, name))
    elif not _are_same(old, new):
        yield Change(path, old, new)


def _are_same(old: Any, new: Any) -> bool:
    if NOT_SET in (old, new):
        return old is new
    return exact.write(old) == exact.write(new)  # in Python, 1 equals True


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."
