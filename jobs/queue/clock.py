"""The time by Redis' clock, the one that all workers share, whatever their machines' own clocks
say.

What one worker writes down and another acts on, a deadline or when to try again, is by this clock:
a worker whose own was ahead would else give up callbacks of others before they are due.
"""

import time
from datetime import UTC, datetime

TRUSTED_SECONDS = 0.5  # an answer that took longer says nothing of now


class Clock:
    """As Redis told it last, and went on since by the machine's monotonic clock."""

    def __init__(self) -> None:
        self._told: tuple[float, float] | None = (
            None  # Redis' unix seconds, and the monotonic seconds of that moment
        )

    def hear(self, redis_seconds: float, asked_at: float) -> None:
        """Redis said that it was `redis_seconds`, asked at the monotonic time `asked_at`."""
        heard_at = time.monotonic()
        if heard_at - asked_at < TRUSTED_SECONDS:
            self._told = redis_seconds, (asked_at + heard_at) / 2

    def now(self) -> datetime:
        """Return the time; the machine's own where Redis has not been heard yet."""
        if self._told is None:
            return datetime.now(UTC)
        redis_seconds, at = self._told
        return datetime.fromtimestamp(redis_seconds + time.monotonic() - at, UTC)


clock = Clock()
