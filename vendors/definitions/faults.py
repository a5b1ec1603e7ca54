"""What is wrong with a definition, key by key."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

NO_HINTS: Mapping[str, str] = MappingProxyType({})
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class DefinitionFaults(ValueError):  # noqa: N818 - several at once
    """A definition can't be used.

    `faults` has a sentence for each faulty key, such as "poll.every" or "outcomes[1].when". Keys
    are paths below the vendor, or below the credential.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__("\n".join(f"{key}: {message}" for key, message in faults.items()))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a question with the known name that is most like this one; '' if none is like it."""
    near = get_close_matches(name, list(known), n=1) if isinstance(name, str) else []
    return f"Did you mean {near[0]}? " if near else ""


def unknown_key(name: str, known: Iterable[str], hints: Mapping[str, str] = NO_HINTS) -> str:
    """`hints`: for keys that are known elsewhere or by another name, a sentence on them."""
    known = list(known)
    meant = f"{hints[name]} " if name in hints else did_you_mean(name, known)
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

    def note_unknown(
        self,
        table: Mapping[str, object],
        known: Iterable[str],
        path: str,
        hints: Mapping[str, str] = NO_HINTS,
    ) -> None:
        for name in table:
            if name not in known:
                self.note(path_of(path, name), unknown_key(name, known, hints))

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
