"""The deadline of the call that this thread is making (docs/decisions/0003-total-deadline.md).

Connecting, sending and each single read from the socket get the time that is left, and no more.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Call(threading.local):
    ends_at = float("-inf")  # on the monotonic clock
    fresh_connection = False
    sent = False  # the vendor may have seen a part of the request
    has_sent = False  # or of an earlier one, since this was last set to False
    before_sending: Callable[[], None] | None = None

    def begin(self, seconds: float, *, fresh_connection: bool) -> None:
        self.ends_at = time.monotonic() + seconds
        self.fresh_connection = fresh_connection
        self.sent = False

    def end_within(self, seconds: float) -> None:
        self.ends_at = min(self.ends_at, time.monotonic() + seconds)

    @contextmanager
    def permitted_by(self, confirm: Callable[[], None]) -> Iterator[None]:
        """Call `confirm` once: after connecting, before the first byte of the first request.

        If it raises, nothing is sent. The time it takes is added to the deadline, because the
        vendor is not to blame for it.
        """
        self.before_sending = confirm
        try:
            yield
        finally:
            self.before_sending = None

    def confirm(self) -> None:
        asked_at = time.monotonic()
        if self.before_sending:
            self.before_sending()
        self.ends_at += time.monotonic() - asked_at

    def begin_sending(self) -> None:
        self.before_sending = None
        self.sent = self.has_sent = True

    def time_left(self) -> float:
        """Return the seconds left, always more than 0. Raises TimeoutError if there are none."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("The deadline of the call has passed.")
        return left


this_call = _Call()
