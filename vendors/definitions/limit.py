"""Named limits, [limits.x] in TOML, that any number of vendors refer to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vendors.definitions.faults import DefinitionFaults
from vendors.limits import Quota, Window, parse

KEYS = ("windows", "max_in_flight", "quota", "per", "arrival_margin_ms")
DEFAULT_MARGIN_MS = 70


@dataclass(frozen=True)
class SharedLimit:
    """What a limit's table says. `per_credential`: each key of its vendors counts on its own."""

    windows: tuple[Window, ...] = ()
    max_in_flight: int | None = None
    quota: Quota | None = None
    per_credential: bool = False


def parse_limit(definition: Mapping[str, Any]) -> SharedLimit:
    """Return what a limit's table says. Raises DefinitionFaults."""
    margin_seconds = definition.get("arrival_margin_ms", DEFAULT_MARGIN_MS) / 1000
    try:
        windows = parse(definition.get("windows", ""), margin_seconds=margin_seconds)
    except ValueError as error:
        raise DefinitionFaults({"windows": str(error)}) from None
    return SharedLimit(
        tuple(windows),
        definition.get("max_in_flight"),
        None,
        per_credential=definition.get("per") == "credential",
    )
