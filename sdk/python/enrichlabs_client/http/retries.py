"""When to send a request again."""

import logging
import random
from time import monotonic, sleep

from enrichlabs_client.errors import ApiError, ConnectionFailed, EnrichLabsError

FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 30.0
PATIENCE_SECONDS = 300.0

log = logging.getLogger("enrichlabs_client")


class Retries:
    """The attempts of one request.

    It ends when `timeout` seconds have passed, or when it has failed for PATIENCE_SECONDS without
    a break. A 429 is no failure: the service works, and says when to ask again.
    """

    def __init__(self, timeout: float | None, *, repeatable: bool = True) -> None:
        self.ends_at = float("inf") if timeout is None else monotonic() + timeout
        self._repeatable = repeatable
        self._failures = 0
        self._failing_since: float | None = None

    def time_left(self) -> float:
        return max(0.001, self.ends_at - monotonic())

    def progress(self) -> None:
        """Note that an attempt got further than those before."""
        self._failures, self._failing_since = 0, None

    def pause(self, error: EnrichLabsError) -> None:
        """Sleep until the next attempt. Raises the error if there should be none."""
        if not error.is_transient or not (self._repeatable or _changed_nothing(error)):
            raise error
        now = monotonic()
        ends_at = self.ends_at
        if isinstance(error, ApiError) and error.status == 429:
            self._failing_since = None
        else:
            self._failing_since = self._failing_since or now
            ends_at = min(ends_at, self._failing_since + PATIENCE_SECONDS)
        self._failures += 1
        seconds = error.retry_after or self._backoff()
        if now + seconds >= ends_at:
            raise error
        log.info("%s Trying again in %.0f s.", error, max(1, seconds))
        sleep(seconds)

    def _backoff(self) -> float:
        pause: float = min(
            MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 10)
        )
        return pause * random.uniform(0.5, 1.0)


def _changed_nothing(error: EnrichLabsError) -> bool:
    """Whether it is certain that the request was not carried out. A 503 alone does not say so: the
    store may have failed after it took the change, or a proxy may answer for the service.
    """
    if isinstance(error, ConnectionFailed):
        return not error.was_sent
    return isinstance(error, ApiError) and (
        error.status == 429 or (error.status, error.code) == (503, "overloaded")
    )
