"""Rate limits as people write them: "10/s, 500/min, 20000/day"."""

import re
from dataclasses import dataclass

SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86400}
MAX_CALLS = 1_000_000
FORM = re.compile(r"([0-9]+)\s*/\s*([0-9]+)?\s*([a-z]+)")


@dataclass(frozen=True)
class Window:
    """At most `calls` starts in any `seconds`, wherever they begin."""

    calls: int
    seconds: float


def parse(text: str, *, margin_seconds: float = 0) -> list[Window]:
    """Return the windows of `text`, shortest first and each longer by the margin; none for an empty
    text.

    Raises ValueError with a sentence that says what is wrong and what would be right.
    """
    windows = [_window(part.strip()) for part in text.split(",") if part.strip()]
    if len({window.seconds for window in windows}) < len(windows):
        raise ValueError("Two limits have the same length of time; keep the lower one.")
    widened = [Window(window.calls, window.seconds + margin_seconds) for window in windows]
    return sorted(widened, key=lambda window: window.seconds)


def _window(part: str) -> Window:
    match = FORM.fullmatch(part.lower())
    if not match or match[3] not in SECONDS:
        raise ValueError(
            f"{part!r} is no rate limit; write for example 10/s, 500/min, 1000/h or 20000/day."
        )
    calls, seconds = int(match[1]), int(match[2] or 1) * SECONDS[match[3]]
    if not 1 <= calls <= MAX_CALLS:
        raise ValueError(
            f"{part!r} must allow between 1 and {MAX_CALLS} calls; to stop a vendor, pause it."
        )
    if not 1 <= seconds <= 31 * 86400:
        raise ValueError(f"{part!r} must be a time of between 1 second and 31 days.")
    return Window(calls, seconds)
