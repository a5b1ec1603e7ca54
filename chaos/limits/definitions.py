"""The limits of the campaign's vendors and the keys of their credential, by slug and name.

- `key` counts each key on its own.
- `team` counts all keys together, two units for a call of `posted` and none for a poll of `thin`.
- `crew` is another limit, for vendors that join and leave.
- `plan` has a quota. Its day is a period of seconds here (harness/periods.py).
"""

from typing import Any

PERIOD_SECONDS, BOUNDARY_SECONDS = 20.0, 2.0
KEYS = {f"VENDOR_CHAOS_KEY_{number}": f"made up for the campaign {number}" for number in (1, 2, 3)}
POOL, SPARE = tuple(KEYS)[:2], tuple(KEYS)[2]
KEY_HEADER = "X-Api-Key"
CREDENTIAL = "chaos"
# A retired key stays known, because open jobs may have been called with it.
CREDENTIALS = {
    CREDENTIAL: {"header": KEY_HEADER, "keys_env": list(POOL), "retired_env": [SPARE]},
}

# Wide enough for a busy machine: these limits are in use all the time.
MARGIN = {"arrival_margin_ms": 500}
LIMITS: dict[str, dict[str, Any]] = {
    "key": {**MARGIN, "windows": "18/s, 85/10s", "per": "credential"},
    "team": {**MARGIN, "windows": "26/s, 140/10s", "max_in_flight": 30},
    "crew": {**MARGIN, "windows": "10/s, 45/15s"},
    "plan": {**MARGIN, "windows": "20/s", "quota": {"calls": 80, "period": "day"}},
}
MEMBERS = {
    "polled": ["key", "team"],
    "posted": ["key", "team"],
    "thin": ["key", "team"],
    "confirmed": ["key", "crew"],
    "lookup": ["key", "plan"],
    "windows": ["team"],
    "overdue": ["plan"],
}
# What some vendors name for a while instead.
OTHER_MEMBERS = {
    "thin": [["key", "crew"], ["key", "crew", "team"], ["key"]],
    "confirmed": [["key", "crew", "team"], ["key", "team"], ["key"]],
    "windows": [["crew"], ["team", "crew"]],
}
WEIGHTS = {"posted": 2}
POLL_WEIGHTS = {"thin": 0}


def limited(slug: str) -> dict[str, Any]:
    """Return what a vendor's definition says about limits."""
    named: dict[str, Any] = {"limits": MEMBERS[slug]} if slug in MEMBERS else {}
    return {**named, "weight": WEIGHTS[slug]} if slug in WEIGHTS else named


def name_of_key(key: str) -> str:
    """Return the name of a key as a request shows it; '' if it is none of ours."""
    return next((name for name, each in KEYS.items() if each == key), "")
