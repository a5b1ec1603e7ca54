"""JSON objects from outside, read strictly: whatever passes can be stored, and written as JSON
again.
"""

import json
import math
from typing import Any

from vendors.payloads import exact

MAX_LEVELS = 100


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = exact.number(text)
    if not math.isfinite(number):
        raise ValueError(
            "too large a number"
        )  # 1e999 would be written again as Infinity, which is no JSON
    return number


DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def read(body: bytes) -> dict[str, Any]:
    """Return the object that `body` spells. Raises ValueError with a sentence that repeats nothing
    of it.
    """
    try:
        value = DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError):
        raise ValueError("It is not valid JSON.") from None
    if not isinstance(value, dict):
        raise ValueError("It is JSON, but not an object.")
    check_levels(value)
    return value


def check_levels(value: Any) -> None:
    """Raises ValueError with a sentence where lists and objects are nested too deeply to be worked
    on.
    """
    if _levels(value) > MAX_LEVELS:
        raise ValueError(f"It is nested more than {MAX_LEVELS} levels deep.")


def _levels(value: Any) -> int:
    """Return how deep lists and objects are nested; level by level, for a recursion would itself go
    too deep.
    """
    count, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        count += 1
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]
    return count
