"""The memory of the API's processes over time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

from harness.running import Server
from loadtest.bench.usage import resident_mb

INTERVAL_SECONDS = 0.1


@dataclass
class Memory:
    """Megabytes of each worker process of the API, by process id."""

    first: dict[int, float] = field(default_factory=dict)
    peak: dict[int, float] = field(default_factory=dict)

    def __str__(self) -> str:
        grown = {pid: self.peak[pid] - self.first[pid] for pid in self.peak}
        return (
            f"API process {min(self.first.values(), default=0):.0f} MB at first, "
            f"{max(self.peak.values(), default=0):.0f} at most, "
            f"grown by {max(grown.values(), default=0):.0f} at most"
        )

    def look(self, server: Server) -> None:
        try:
            workers = server.api_processes()[1]
            sizes = {pid: resident_mb(pid) for pid in workers}
        except (OSError, ValueError, IndexError, KeyError):
            return  # a process is starting or ending
        for pid, size in sizes.items():
            self.first.setdefault(pid, size)
            self.peak[pid] = max(size, self.peak.get(pid, 0.0))


@contextmanager
def observed(server: Server) -> Iterator[Memory]:
    """Look at the memory regularly until the block ends."""
    memory, ended = Memory(), Event()

    def observe() -> None:
        while not ended.wait(INTERVAL_SECONDS):
            memory.look(server)

    memory.look(server)
    thread = Thread(target=observe, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()
