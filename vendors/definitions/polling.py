"""When a vendor is polled."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from vendors.definitions import durations

DEFAULT_EVERY = "1min"


@dataclass(frozen=True)
class Polling:
    """`after_seconds` after its call a job is polled first, then every `every_seconds`.

    `give_up_seconds` after its call it is polled for the last time; None: when its callback would
    be overdue. `needs_reference`: it can't be asked about a job without a vendor_reference.
    """

    after_seconds: float
    every_seconds: float
    give_up_seconds: float | None = None
    needs_reference: bool = False

    def wait(self, asked: timedelta | None, *, is_first: bool) -> timedelta:
        """Return how long to wait before the next poll. `asked`: how long the vendor asks to."""
        usual = timedelta(seconds=self.after_seconds if is_first else self.every_seconds)
        return max(usual, asked or timedelta())


def polling_of(definition: Mapping[str, Any]) -> Polling | None:
    """Return when to poll, or None if the vendor is not polled. Raises ValueError."""
    poll = definition.get("poll")
    if poll is None:
        return None
    every_seconds = durations.parse(poll.get("every", DEFAULT_EVERY))
    after_seconds = durations.parse(poll["after"]) if "after" in poll else every_seconds
    give_up = durations.parse(poll["give_up"]) if "give_up" in poll else None
    return Polling(after_seconds, every_seconds, give_up, needs_reference="url" in poll)
