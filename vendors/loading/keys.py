"""The keys of a vendor's table, in the order in which they are written."""

import re
from collections.abc import Callable
from typing import NamedTuple

from vendors.definitions import checking


class ValueType(NamedTuple):
    """A type of value: `wanted` completes "Must be ..."."""

    wanted: str
    fits: Callable[[object], bool]


def _is_number(value: object) -> bool:
    # Excludes bool, infinity, NaN and what a float can't hold.
    return type(value) in (int, float) and abs(value) < 1e15  # type: ignore[arg-type]


def _is_whole(value: object) -> bool:
    return type(value) is int and _is_number(value)


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, str) and re.fullmatch(r"[^\s,]+", name) for name in value
    )


TEXT = ValueType('a string, such as "https://example.com"', lambda value: isinstance(value, str))
SWITCH = ValueType("true or false", lambda value: isinstance(value, bool))
WHOLE = ValueType("a whole number", _is_whole)
LIMIT = ValueType('a whole number, or "" for no limit', lambda it: it == "" or _is_whole(it))
NUMBER = ValueType("a number", _is_number)
NAMES = ValueType('a list of names without spaces or commas: ["ssn", "dob"]', _is_list_of_names)
# The columns of a vendor.
KINDS = {
    "adapter": TEXT,
    "url": TEXT,
    "enabled": SWITCH,
    "rate_limits": TEXT,
    "arrival_margin_ms": WHOLE,
    "max_in_flight": LIMIT,
    "max_queued": LIMIT,
    "timeout_seconds": NUMBER,
    "max_attempts": WHOLE,
    "callback_timeout_seconds": NUMBER,
    "repeat_unknown": SWITCH,
    "repeat_overdue": SWITCH,
    "required_input": NAMES,
    "redact": NAMES,
    "api_key_env": TEXT,
    "webhook_secret_env": TEXT,
}
REQUIRED = ("adapter", "url")
LISTS = ("required_input", "redact")
DEFINITION_KEYS = checking.KEYS
KNOWN = (*KINDS, *DEFINITION_KEYS)
