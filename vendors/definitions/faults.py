"""What is wrong with a definition, key by key."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class DefinitionFaults(ValueError):  # noqa: N818 - several at once
    """A definition can't be used.

    `faults` has a sentence for each faulty key, such as "poll.every" or "outcomes[1].when". Keys
    are paths below the vendor, or below the credential.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__("\n".join(f"{key}: {message}" for key, message in faults.items()))


def unknown_key(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = get_close_matches(name, known, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return f"Unknown key. {meant}The known ones are {', '.join(known)}."


class Faults(dict[str, str]):
    """Faults by key, as they are found. The first one of a key counts."""

    def note(self, key: str, message: str) -> None:
        self.setdefault(key, message)

    @contextmanager
    def at(self, key: str) -> Iterator[None]:
        """Note a ValueError as the fault of this key."""
        try:
            yield
        except ValueError as error:
            self.note(key, str(error))

    def note_unknown(self, table: Mapping[str, object], known: Iterable[str], path: str) -> None:
        for name in table:
            if name not in known:
                self.note(path_of(path, name), unknown_key(name, known))

    def table(self, value: object, key: str) -> Mapping[str, Any]:
        """Return a table; an empty one, with a fault, if the value is no table."""
        if isinstance(value, Mapping):
            return value
        self.note(key, "Must be a table: { key = value }.")
        return {}


def path_of(path: str, *names: str) -> str:
    """Return the path of a key below another one, such as poll.query."x-id"."""
    spelled = [name if BARE_KEY.fullmatch(name) else json.dumps(name) for name in names]
    return ".".join(filter(None, (path, *spelled)))
