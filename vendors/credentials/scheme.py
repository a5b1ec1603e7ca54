"""What a credential's table says, and the keys that the environment has for it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from vendors import variables
from vendors.base import Access
from vendors.credentials import signing
from vendors.credentials.checking import GRANTS, TABLES, faults_of
from vendors.credentials.grants import Grant
from vendors.credentials.placement import Placement
from vendors.credentials.signing import Signing
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.request import Request


@dataclass(frozen=True)
class Scheme:
    """How requests show who calls: where the key stands, and which variables hold one.

    `keys` are the names of the pool, `retired` those with which no new call is made. With a
    `grant`, the only key stands for what it proves, and the token that it gets is sent. Its retired
    keys are names by which it was known, or stand for keys that were sent before.
    """

    placement: Placement
    keys: tuple[str, ...]
    retired: tuple[str, ...] = ()
    grant: Grant | None = None
    signing: Signing | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All keys, by their variables' names."""
        return (*self.keys, *self.retired)

    @property
    def variables(self) -> tuple[str, ...]:
        """All variables whose values requests depend on."""
        return (*self.names, *self._others)

    @property
    def _others(self) -> tuple[str, ...]:
        """The variables besides those by which keys are known."""
        of_grant = self.grant.variables if self.grant else ()
        secret = self.signing.secret_env if self.signing else ""
        return (*of_grant, secret) if secret else of_grant

    def fault(self, name: str) -> str:
        """Return why this process can't use a key; '' if it can."""
        if self.grant:  # the token is sent, for all names
            return next(filter(None, map(variables.missing, self._others)), "")
        if (key := _value(name)) and not self.placement.can_hold(key):
            return f"The variable {name} holds characters that no API key can have."
        return next(filter(None, map(variables.missing, (name, *self._others))), "")

    @property
    def secrets(self) -> Iterator[str]:
        """Every spelling of every key, also of those that can't be used."""
        for name in self.variables:
            if key := _value(name):
                yield from self.placement.spellings(key)
        if self.grant:
            yield from self.grant.spellings


def parse(definition: Mapping[str, Any]) -> Scheme:
    """Return what a credential's table says. Raises DefinitionFaults."""
    if faults := dict(faults_of(definition)):
        raise DefinitionFaults(faults)
    scheme = _with_token(definition) or _with_keys(definition)
    sign = definition.get("sign")
    return scheme if sign is None else replace(scheme, signing=signing.parse(sign))


def _with_token(definition: Mapping[str, Any]) -> Scheme | None:
    for name, parse_table in GRANTS.items():
        if name in definition:
            grant = parse_table(definition[name])
            place = _placement(definition) or Placement("header", "Authorization", "Bearer ")
            retired = tuple(definition.get("retired_env", ()))
            return Scheme(place, (grant.key,), retired, grant=grant)
    return None


def _with_keys(definition: Mapping[str, Any]) -> Scheme:
    retired = tuple(definition.get("retired_env", ()))
    if variable := definition.get("bearer_env"):
        return Scheme(Placement("header", "Authorization", "Bearer "), (variable,), retired)
    keys = tuple(definition["keys_env"])
    if "basic" in definition:
        return Scheme(Placement("basic", "Authorization"), keys, retired)
    return Scheme(_placement(definition) or Placement("nowhere", ""), keys, retired)


def _placement(definition: Mapping[str, Any]) -> Placement | None:
    """Return the named place; None if there is none."""
    for place in ("header", "query", "body"):
        if place in definition:
            return Placement(place, definition[place], definition.get("prefix", ""))
    return None


def apply(scheme: Scheme, request: Request, access: Access, reference: str = "") -> Request:
    """Return the request with the key of `access`, or the first that can be used here, and signed.

    `reference`: what the vendor calls the work that the request is about. Raises ValueError if
    there is no such key, no token, or no place for it in the request.
    """
    any_key = next((it for it in scheme.keys if not scheme.fault(it)), scheme.keys[0])
    # The token of a credential is the same, whichever variable it was known by.
    name = any_key if scheme.grant else access.key or any_key
    if name not in scheme.names:
        raise ValueError(f"The credential does not name {name} any more. Add it to retired_env.")
    if fault := scheme.fault(name):
        raise ValueError(fault)
    key = access.token if scheme.grant else _value(name)
    if not key:
        raise ValueError("There is no token for this request yet.")
    request = scheme.placement.put(request, key)
    if scheme.signing is None:
        return request
    secret = _value(scheme.signing.secret_env) if scheme.signing.secret_env else key
    return scheme.signing.sign(request, secret, reference=reference, at=time.time())


def names_of(definition: Mapping[str, Any]) -> list[str]:
    """Return the names by which a definition's keys are known, even of one that can't be used."""
    found = [definition.get("bearer_env")]
    for name, parse_table in GRANTS.items():
        with suppress(DefinitionFaults):
            found += [parse_table(definition[name]).key] if name in definition else []
    for key in ("keys_env", "retired_env"):
        named = definition.get(key)
        found += named if isinstance(named, list) else []
    return [name for name in found if isinstance(name, str) and name]


def variables_of(definition: Mapping[str, Any]) -> list[str]:
    """Return the names of all variables in a definition, even in one that can't be used: first
    those by which keys are known.
    """
    found = names_of(definition)
    for key in TABLES:
        others = (name for name in _named_in(definition.get(key)) if isinstance(name, str) and name)
        found += [name for name in others if name not in found]
    return found


def _named_in(table: object) -> list[Any]:
    """Return what the keys of a table that end in _env name, each one variable or several."""
    named: list[Any] = []
    for key, value in table.items() if isinstance(table, dict) else ():
        if str(key).endswith("_env"):
            named += value.values() if isinstance(value, dict) else [value]
    return named


def _value(name: str) -> str:
    """Return the current key; '' if the variable is not set."""
    # A key read from a file ends with a line break, which no header may hold.
    return variables.value(name).strip()
