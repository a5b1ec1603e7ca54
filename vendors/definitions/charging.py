"""In which limits a vendor's calls and polls count, and how many units each."""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_LIMITS = 8
MAX_WEIGHT = 100
NAMES = 'Must be a list of names of tables [limits.NAME], such as ["acme_team"].'


def charging_faults(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the faults of `limits`, `weight` and `poll.weight`."""
    names = definition.get("limits", [])
    if not isinstance(names, list):
        yield "limits", NAMES
    else:
        yield from _faults_of_names(names)
    weight = definition.get("weight", 1)
    if not _is_whole(weight, 1):
        yield "weight", f"Must be a whole number from 1 to {MAX_WEIGHT}."
    poll = definition.get("poll")
    if isinstance(poll, Mapping) and not _is_whole(poll.get("weight", 1), 0):
        sentence = f"Must be a whole number from 0 to {MAX_WEIGHT}. 0: polls don't count."
        yield "poll.weight", sentence


def _faults_of_names(names: list[Any]) -> Iterator[tuple[str, str]]:
    if len(names) > MAX_LIMITS:
        yield "limits", f"Must be at most {MAX_LIMITS} names."
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name:
            yield f"limits[{index}]", "Must be the name of a table [limits.NAME]."
        elif name in names[:index]:
            yield f"limits[{index}]", f"{name!r} stands in the list twice. Remove one."


def _is_whole(value: object, least: int) -> bool:
    return type(value) is int and least <= value <= MAX_WEIGHT
