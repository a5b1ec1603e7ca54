"""A definition as TOML, for the console."""

from typing import Any

from vendors.loading.keys import DEFINITION_KEYS
from vendors.loading.writer import written


def definition_text(definition: dict[str, Any]) -> str:
    """Return a definition as vendors.loading.toml.parse_definition reads it.

    Keys stand in the order of vendors.loading.keys, except that a table too long for a line comes
    last.
    """
    unknown = [name for name in definition if name not in DEFINITION_KEYS]
    names = [*(name for name in DEFINITION_KEYS if name in definition), *unknown]
    return written({name: definition[name] for name in names})
