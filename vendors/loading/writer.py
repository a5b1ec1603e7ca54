"""Writes JSON values as TOML that people read: what fits on a line stands on one."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from vendors.definitions.faults import BARE_KEY
from vendors.payloads import exact

MAX_COLUMNS = 100
TEXT = json.JSONEncoder(ensure_ascii=False)


def written(table: Mapping[str, Any]) -> str:
    """Return the table. What is too long for a line in it stands below the rest."""
    return "".join(f"{line}\n" for line in _lines(table, ())).lstrip("\n")


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    own: list[tuple[str, Any]] = []
    below: list[tuple[str, Any]] = []
    for name, value in table.items():
        is_long = isinstance(value, dict) and len(f"{_key(name)} = {_inline(value)}") > MAX_COLUMNS
        (below if is_long else own).append((name, value))
    if path and (own or not below):
        yield ""
        yield f"[{'.'.join(map(_key, path))}]"
    for name, value in own:
        yield from _assignment(name, value)
    for name, value in below:
        yield from _lines(value, (*path, name))


def _assignment(name: str, value: Any) -> Iterator[str]:
    line = f"{_key(name)} = {_inline(value)}"
    if len(line) <= MAX_COLUMNS or not isinstance(value, list):
        yield line
    else:
        yield f"{_key(name)} = ["
        yield from (f"  {_inline(item)}," for item in value)
        yield "]"


def _inline(value: Any) -> str:
    match value:
        case dict():
            pairs = ", ".join(f"{_key(name)} = {_inline(item)}" for name, item in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case list():
            return f"[{', '.join(map(_inline, value))}]"
        case str():
            return _text(value)
    return exact.write(value)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    # TOML escapes as JSON does, and one character more.
    return TEXT.encode(text).replace("\x7f", "\\u007f")
