"""Rate limits as operators write them: "10/s, 500/min, 20000/day"."""

import re
from dataclasses import dataclass

SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86400}
MAX_CALLS = 1_000_000
MAX_WINDOW_SECONDS = 31 * 86400
LIMIT = re.compile(r"([0-9]+)\s*/\s*([0-9]+)?\s*([a-z]+)")

CALENDAR = (
    "For months and weeks of the calendar, name a limit with a quota: "
    'quota = { calls = 500, period = "month" } in a table [limits.NAME].'
)


@dataclass(frozen=True)
class Window:
    """At most `calls` starts in any period of `seconds`."""

    calls: int
    seconds: float


def parse(
    text: str, *, margin_seconds: float = 0, to_stop: str = "To stop a vendor, pause it."
) -> list[Window]:
    """Return the windows of `text`, shortest first, each longer by the margin.

    An empty text has none. Raises ValueError with a sentence that names the problem and the remedy,
    for whoever meant to stop all calls in `to_stop`.
    """
    windows = [_window(part.strip(), to_stop) for part in text.split(",") if part.strip()]
    if len({window.seconds for window in windows}) < len(windows):
        raise ValueError("Two limits have the same period. Keep the lower one.")
    widened = [Window(window.calls, window.seconds + margin_seconds) for window in windows]
    return sorted(widened, key=lambda window: window.seconds)


def _window(part: str, to_stop: str) -> Window:
    match = LIMIT.fullmatch(part.lower())
    if not match or match[3] not in SECONDS:
        examples = "10/s, 500/min, 1000/h or 20000/day"
        hint = f" {CALENDAR}" if match and match[3].startswith(("month", "week")) else ""
        raise ValueError(f"{part!r} is not a valid rate limit. Write for example {examples}.{hint}")
    calls, seconds = int(match[1]), int(match[2] or 1) * SECONDS[match[3]]
    if not 1 <= calls <= MAX_CALLS:
        raise ValueError(f"{part!r} must allow between 1 and {MAX_CALLS} calls. {to_stop}")
    if not 1 <= seconds <= MAX_WINDOW_SECONDS:
        raise ValueError(f"{part!r} must have a period between 1 second and 31 days.")
    return Window(calls, seconds)
