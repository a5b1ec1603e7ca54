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


def _text(example: str) -> ValueType:
    return ValueType(f'a string, such as "{example}"', lambda value: isinstance(value, str))


def _names(example: str) -> ValueType:
    return ValueType(f"a list of names without spaces or commas: {example}", _is_list_of_names)


SWITCH = ValueType("true or false", lambda value: isinstance(value, bool))
WHOLE = ValueType("a whole number", _is_whole)
LIMIT = ValueType('a whole number, or "" for no limit', lambda it: it == "" or _is_whole(it))
NUMBER = ValueType("a number", _is_number)
# The columns of a vendor.
KINDS = {
    "adapter": _text("http"),
    "url": _text("GET https://api.example.com/v1/people"),
    "enabled": SWITCH,
    "rate_limits": _text("10/s, 500/min"),
    "arrival_margin_ms": WHOLE,
    "max_in_flight": LIMIT,
    "max_queued": LIMIT,
    "timeout_seconds": NUMBER,
    "max_attempts": WHOLE,
    "callback_timeout_seconds": NUMBER,
    "repeat_unknown": SWITCH,
    "repeat_overdue": SWITCH,
    "required_input": _names('["name", "email"]'),
    "redact": _names('["ssn", "dob"]'),
    "api_key_env": _text("VENDOR_ACME_API_KEY"),
    "webhook_secret_env": _text("VENDOR_ACME_WEBHOOK_SECRET"),
}
REQUIRED = ("adapter", "url")
LISTS = ("required_input", "redact")
DEFINITION_KEYS = checking.KEYS
NOT_OF_HTTP = ("required_input", "api_key_env", "webhook_secret_env")
HTTP_KEYS = (*(name for name in KINDS if name not in NOT_OF_HTTP), *DEFINITION_KEYS)
OTHER_KEYS = (*KINDS, *checking.WITHOUT_HTTP)
OF_A_LIMIT = "It belongs in a table [limits.NAME]. Name that in `limits`."
HINTS = {
    "quota": OF_A_LIMIT,
    "per": OF_A_LIMIT,
    "windows": "Here it is called rate_limits.",
}
