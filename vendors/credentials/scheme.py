"""What a credential's table says, and the keys that the environment has for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vendors import variables
from vendors.base import Access
from vendors.credentials.checking import faults_of
from vendors.credentials.placement import Placement
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.request import Request


@dataclass(frozen=True)
class Scheme:
    """How requests show who calls: where the key stands, and which variables hold one.

    `keys` are the names of the pool, `retired` those with which no new call is made.
    """

    placement: Placement
    keys: tuple[str, ...]
    retired: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All keys, by their variables' names."""
        return (*self.keys, *self.retired)

    def fault(self, name: str) -> str:
        """Return why this process can't use a key; '' if it can."""
        if (key := _value(name)) and not self.placement.can_hold(key):
            return f"The variable {name} holds characters that no API key can have."
        return variables.missing(name)

    @property
    def secrets(self) -> Iterator[str]:
        """Every spelling of every key, also of those that can't be used."""
        for name in self.names:
            if key := _value(name):
                yield from self.placement.spellings(key)


def parse(definition: Mapping[str, Any]) -> Scheme:
    """Return what a credential's table says. Raises DefinitionFaults."""
    if faults := dict(faults_of(definition)):
        raise DefinitionFaults(faults)
    retired = tuple(definition.get("retired_env", ()))
    if variable := definition.get("bearer_env"):
        return Scheme(Placement("header", "Authorization", "Bearer "), (variable,), retired)
    keys = tuple(definition["keys_env"])
    if "basic" in definition:
        return Scheme(Placement("basic", "Authorization"), keys, retired)
    [place] = [place for place in ("header", "query", "body") if place in definition]
    placement = Placement(place, definition[place], definition.get("prefix", ""))
    return Scheme(placement, keys, retired)


def apply(scheme: Scheme, request: Request, access: Access) -> Request:
    """Return the request with the key of `access`, or the first that can be used here.

    Raises ValueError if there is no such key, or no place for it in the request.
    """
    name = access.key or next((it for it in scheme.keys if not scheme.fault(it)), scheme.keys[0])
    if name not in scheme.names:
        raise ValueError(f"The credential does not name {name} any more. Add it to retired_env.")
    if fault := scheme.fault(name):
        raise ValueError(fault)
    return scheme.placement.put(request, _value(name))


def variables_of(definition: Mapping[str, Any]) -> list[str]:
    """Return the names of variables in a definition, even in one that can't be used."""
    found = [definition.get("bearer_env")]
    for key in ("keys_env", "retired_env"):
        named = definition.get(key)
        found += named if isinstance(named, list) else []
    return [name for name in found if isinstance(name, str) and name]


def _value(name: str) -> str:
    """Return the current key; '' if the variable is not set."""
    # A key read from a file ends with a line break, which no header may hold.
    return variables.value(name).strip()
