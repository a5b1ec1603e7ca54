"""How many threads of this process may be kept busy for long, so that most stay free."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

DEFAULT_LIMIT = 8


class Slots:
    """A number of places, each for one request that keeps its thread for longer than others."""

    def __init__(self) -> None:
        self.limit = DEFAULT_LIMIT
        self._lock = Lock()
        self._taken = 0

    def take(self) -> bool:
        """Take a place, to be freed later. Returns False if there is none."""
        with self._lock:
            if self._taken >= self.limit:
                return False
            self._taken += 1
            return True

    def free(self) -> None:
        with self._lock:
            self._taken -= 1

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Within, a place is taken, if the value is True."""
        has_place = self.take()
        try:
            yield has_place
        finally:
            if has_place:
                self.free()


# Held by the upload that is decoded or validated: several at a time would be no quicker, and other
# threads would wait for the interpreter behind each of them.
computing = Lock()

# Held by the batch in JSON that is being taken: parsed, it may have 40 times the bytes it came in.
whole_batch = Lock()

waiters = Slots()  # requests that wait for a job or a batch to end
transfers = Slots()  # uploads of batches, and downloads of their results


def share(threads: int) -> None:
    """Let each kind have a quarter of this process's threads."""
    for slots in (waiters, transfers):
        slots.limit = max(1, threads // 4)
