"""Stub."""

from collections.abc import Mapping
from typing import Any

from vendors.definitions import durations
from vendors.definitions.faults import DefinitionFaults, unknown_key

KEYS = (
    *("query", "headers", "json", "form", "input", "credential"),
    *("result", "reference", "confidence", "cost", "outcomes", "callback", "poll", "check"),
    *("proxy_env", "ca_file", "client_cert_file"),
)


def compile_definition(
    url: str, definition: Mapping[str, Any], *, credential: Mapping[str, Any] | None = None
) -> None:
    faults = {key: unknown_key(KEYS) for key in definition if key not in KEYS}
    poll = definition.get("poll", {})
    for key in ("after", "every", "give_up"):
        if key in poll:
            try:
                durations.parse(poll[key])
            except ValueError as error:
                faults[f"poll.{key}"] = str(error)
    if faults:
        raise DefinitionFaults(faults)
