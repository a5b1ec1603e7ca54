"""JSON whose numbers keep their digits. A float can't hold 1234567890123456.789, so such a number
keeps its text.
"""

import json
import re
import secrets
from decimal import Decimal
from typing import Any

COMPACT = json.JSONEncoder(separators=(",", ":"))
EXACT_DIGITS = 15  # that many any float holds
SMALLEST = 1e-290  # below it floats hold fewer
MARK = secrets.token_hex(16)
MARKED = re.compile(f'"{MARK}([^"]*)"')


class ExactFloat(float):
    """A number that a float holds only roughly. It calculates as that float, and is written as it
    was read.
    """

    text: str
    # whether this process has met any: as a rule it has not, and nothing need be searched for them
    was_made = False

    def __new__(cls, text: str) -> "ExactFloat":
        number = super().__new__(cls, text)
        number.text = text
        cls.was_made = True
        return number

    def __reduce__(self) -> tuple[type["ExactFloat"], tuple[str]]:
        return ExactFloat, (self.text,)


def number(text: str) -> float:
    """Return the number that a JSON text spells: a plain float wherever that is the same number."""
    value = float(text)
    if len(text) <= EXACT_DIGITS + 1 and not -SMALLEST < value < SMALLEST:
        return value
    try:
        is_same = Decimal(text) == Decimal(repr(value))
    except ArithmeticError:  # an exponent beyond all bounds
        is_same = False
    return value if is_same else ExactFloat(text)


DECODER = json.JSONDecoder(parse_float=number)


def read(text: str) -> Any:
    """Return the value of a JSON text that we have written. Raises ValueError."""
    return DECODER.decode(text)


def write(value: Any, encoder: json.JSONEncoder = COMPACT) -> str:
    """Return the value as JSON, each number as it was read."""
    text = encoder.encode(value)
    if ExactFloat.was_made and _holds_exact(value):
        return MARKED.sub(r"\1", encoder.encode(_marked(value)))
    return text


def _holds_exact(value: Any) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            continue
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)
        elif isinstance(item, ExactFloat):
            return True
    return False


def _marked(value: Any) -> Any:
    match value:
        case ExactFloat():
            return MARK + value.text
        case dict():
            return {key: _marked(item) for key, item in value.items()}
        case list() | tuple():
            return [_marked(item) for item in value]
        case _:
            return value
