"""The clock rule: which of the two clocks to ask.

- Decisions about a job (deadlines, when to retry, when it was queued) take `redis_clock.now()`.
  All processes share it. With its own clock, a worker that runs ahead would fail other workers'
  jobs before they are due.
- What only people read (ages, the history of the console, log lines) takes
  `django.utils.timezone.now()`, the machine's clock.

Functions that decide take `now` as a parameter, so the call shows which clock it is.
"""

import time
from datetime import UTC, datetime

MAX_REPLY_SECONDS = 0.5  # a slower reply does not say what time it is now


class RedisClock:
    """Redis' time: its last reply, carried on by this machine's monotonic clock."""

    def __init__(self) -> None:
        # Unix seconds of Redis, and the monotonic seconds at that moment.
        self._last_reply: tuple[float, float] | None = None

    def hear(self, redis_seconds: float, asked_at: float) -> None:
        """Note that Redis answered `redis_seconds` to a command sent at monotonic `asked_at`."""
        heard_at = time.monotonic()
        if heard_at - asked_at < MAX_REPLY_SECONDS:
            self._last_reply = redis_seconds, (asked_at + heard_at) / 2

    def now(self) -> datetime:
        """Return Redis' time, or the machine's while this process has no reply from Redis yet."""
        if self._last_reply is None:
            return datetime.now(UTC)
        redis_seconds, at = self._last_reply
        return datetime.fromtimestamp(redis_seconds + time.monotonic() - at, UTC)


redis_clock = RedisClock()
