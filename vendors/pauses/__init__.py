"""Pauses, stored in the rows of vendors and of the keys of credentials.

A pause with an end is set when a vendor throttles us, or by an operator. A pause without an end
overrides it and lasts until an operator resumes the vendor or the key. While all keys of a
credential are paused, so are the vendors that use it.
"""

from vendors.models.pausable import (
    DENIED,
    DENIED_REASONS,
    NONE_USABLE,
    NOT_ISSUED,
    OF_KEYS,
    SLOW_DOWN,
    THROTTLED,
    UNPAID,
    UNPAID_UNTIL_RESET,
)
from vendors.pauses import keys
from vendors.pauses.terms import MAX_NAME_LENGTH, MAX_REASON_LENGTH
from vendors.pauses.vendors import is_current, pause, pause_until, resume, resume_if_automatic

__all__ = [
    "DENIED",
    "DENIED_REASONS",
    "MAX_NAME_LENGTH",
    "MAX_REASON_LENGTH",
    "NONE_USABLE",
    "NOT_ISSUED",
    "OF_KEYS",
    "SLOW_DOWN",
    "THROTTLED",
    "UNPAID",
    "UNPAID_UNTIL_RESET",
    "is_current",
    "keys",
    "pause",
    "pause_until",
    "resume",
    "resume_if_automatic",
]
