"""Durations as operators write them: "500ms", "5s", "10min", "2h", "1day"."""

import re

SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "day": 86400}
DURATION = re.compile(r"([0-9]{1,9})\s*([a-z]+)")


def parse(text: object) -> float:
    """Return the duration in seconds. Raises ValueError with a sentence."""
    match = DURATION.fullmatch(text) if isinstance(text, str) else None
    if not match or match[2] not in SECONDS:
        raise ValueError('Must be a duration, such as "5s", "10min", "2h" or "1day".')
    return int(match[1]) * SECONDS[match[2]]
