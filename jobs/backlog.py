"""How many jobs wait for each vendor, as Redis said a moment ago: more than a vendor's bound are not let in."""

import time
from threading import Lock

from jobs.clock import clock
from jobs.keys import Keys
from jobs.stream import hints_may_fail
from vendors.catalogue import catalogue

FRESH_SECONDS = 0.5


class Backlog:
    """The lengths of the vendors' streams, shared by the threads of a process.

    They are hints: half a second old, and 0 while Redis is away or when it has lost its data. What was accepted stays.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: dict[str, int] = {}
        self._read_at: dict[str, float] = {}

    def is_full(self, slug: str) -> bool:
        """Return whether as many jobs wait as the vendor may have."""
        vendor = catalogue.get(slug)
        return vendor is not None and vendor.max_queued is not None and self._length(slug) >= vendor.max_queued

    def _length(self, slug: str) -> int:
        is_fresh = time.monotonic() - self._read_at.get(slug, float("-inf")) < FRESH_SECONDS
        # One thread asks; the others need not wait for it, and take the number as it is.
        if not is_fresh and self._lock.acquire(blocking=False):
            try:
                self._entries[slug] = _ask(slug)
                self._read_at[slug] = time.monotonic()
            finally:
                self._lock.release()
        return self._entries.get(slug, 0)

    def forget(self) -> None:
        """Ask Redis at the next question."""
        self._read_at.clear()


def _ask(slug: str) -> int:
    keys, answers = Keys(slug), []
    asked_at = time.monotonic()
    hints_may_fail.give(
        lambda client: answers.extend(client.pipeline(transaction=False).xlen(keys.jobs).xlen(keys.again).time().execute())
    )
    if not answers:
        return 0
    jobs, again, (seconds, microseconds) = answers
    clock.hear(seconds + microseconds / 1e6, asked_at)
    return int(jobs) + int(again)


backlog = Backlog()
