"""The memory of the API's processes over time."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from harness.running import Server
from loadtest.bench.usage import resident_mb

INTERVAL_SECONDS = 0.1


class Memory:
    """Megabytes of the largest of the API's worker processes, before and at most since then."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.before = self.peak = self._largest()

    def __str__(self) -> str:
        grown = self.peak - self.before
        return f"API process {self.before:.0f} MB before, {self.peak:.0f} at most: {grown:+.0f}"

    def look(self) -> None:
        self.peak = max(self.peak, self._largest())

    def _largest(self) -> float:
        try:
            return max(map(resident_mb, self._server.api_processes()[1]))
        except (OSError, ValueError, IndexError):
            return 0.0  # they are starting or ending


@contextmanager
def observed(server: Server) -> Iterator[Memory]:
    """Look at the memory regularly until the block ends."""
    memory, ended = Memory(server), Event()

    def observe() -> None:
        while not ended.wait(INTERVAL_SECONDS):
            memory.look()

    thread = Thread(target=observe, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()
