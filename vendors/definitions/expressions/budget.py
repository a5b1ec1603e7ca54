"""How much work the expressions about one request or one answer may do.

JMESPath can double a list with each [@, @][], and share one list so often that it is endless when
it is compared or written. So steps and sizes are counted before anything is made.
"""

import math
from typing import Any

MAX_STEPS = 200_000  # some tenths of a second
CHARACTERS_A_STEP = 16
# Of what an expression makes, as the number of values plus their characters. What it only selects
# has the limits of the body.
MAX_SIZE = 1_000_000
MAX_LEVELS = 100


class TooMuchWorkError(Exception):
    """The expressions take too many steps, or make something too large."""


class NotJSONError(ValueError):
    """An expression made something that is not JSON: infinity, or a reference to an expression."""


class Budget:
    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.steps = steps

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise TooMuchWorkError

    def spend_text(self, characters: int) -> None:
        self.spend(characters // CHARACTERS_A_STEP)

    def spend_argument(self, value: Any) -> None:
        """Pay for a function that goes through this argument, but not below its elements."""
        if isinstance(value, str):
            self.spend_text(len(value))
        elif isinstance(value, list | dict):
            self.spend(len(value))
            self.spend_text(sum(len(item) for item in value if isinstance(item, str)))

    def spend_value(self, value: Any) -> None:
        """Pay for going through a value with all that is in it."""
        self.spend_text(size_of(value))


def size_of(value: Any) -> int:
    """Return how many values and characters there are in a JSON value.

    What is shared counts each time. Raises TooMuchWorkError above MAX_SIZE or MAX_LEVELS, and
    NotJSONError.
    """
    size, level, levels = 0, [value], 0
    while level:
        levels += 1
        children: list[Any] = []
        for item in level:
            size += _size(item, children)
            if size + len(children) > MAX_SIZE:
                raise TooMuchWorkError
        if levels > MAX_LEVELS:
            raise TooMuchWorkError
        level = children
    return size


def _size(item: Any, children: list[Any]) -> int:
    """Return the size of one value without its children, which are added to `children`."""
    match item:
        case str():
            return 1 + len(item)
        case dict():
            children.extend(item.values())
            return 1 + sum(map(len, item))
        case list():
            children.extend(item)
        case float() if not math.isfinite(item):
            raise NotJSONError
        case None | bool() | int() | float():
            pass
        case _:
            raise NotJSONError
    return 1
