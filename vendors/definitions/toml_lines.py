"""Where the tables and keys of a TOML text begin, which the standard library does not say."""

import tomllib
from collections.abc import Iterator

Path = tuple[str, ...]


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, from 1, at which each table and key of a valid TOML text begins."""
    found: dict[Path, int] = {}
    table: Path = ()
    statement, begins = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            paths = list(_paths(tomllib.loads(statement)))
        except ValueError:
            continue  # it goes on in the next line
        is_header = statement.lstrip().startswith("[")
        for path in paths:
            found.setdefault(path if is_header else table + path, begins)
        table = paths[-1] if is_header else table
        statement, begins = "", number + 1
    return found


def _paths(value: object) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (key,)
            yield from ((key, *path) for path in _paths(inner))
