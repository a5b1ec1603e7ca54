"""JSON whose numbers keep their digits. A float cannot hold 1234567890123456.789, so such a number
keeps its text.
"""

import json
import re
import secrets
from decimal import Decimal
from typing import Any

COMPACT = json.JSONEncoder(separators=(",", ":"))
FLOAT_DIGITS = 15  # any number with this many digits fits a float
SMALLEST = 1e-290  # below it, floats hold fewer digits
MARK = secrets.token_hex(16)
MARKED = re.compile(f'"{MARK}([^"]*)"')


class ExactFloat(float):
    """A number that a float only approximates. It calculates as that float, and is written as it
    was read.
    """

    text: str
    # Whether this process has made any. Usually not, and then values need not be searched for them.
    was_made = False

    def __new__(cls, text: str) -> "ExactFloat":
        number = super().__new__(cls, text)
        number.text = text
        cls.was_made = True
        return number

    def __reduce__(self) -> tuple[type["ExactFloat"], tuple[str]]:
        return ExactFloat, (self.text,)


def number(text: str) -> float:
    """Return the number in a JSON text: a plain float wherever that is the same number."""
    value = float(text)
    if len(text) <= FLOAT_DIGITS + 1 and not -SMALLEST < value < SMALLEST:
        return value
    try:
        is_same = Decimal(text) == Decimal(repr(value))
    except ArithmeticError:  # an exponent that Decimal cannot hold
        is_same = False
    return value if is_same else ExactFloat(text)


DECODER = json.JSONDecoder(parse_float=number)


def read(text: str) -> Any:
    """Return the value of a JSON text that we wrote ourselves. Raises ValueError."""
    return DECODER.decode(text)


def write(value: Any, encoder: json.JSONEncoder = COMPACT) -> str:
    """Return the value as JSON, with each number as it was read."""
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
