"""What the campaign did to the system, and when. Explains recoveries and repeated calls."""

import time
from dataclasses import dataclass, field
from threading import Lock


@dataclass(frozen=True)
class Event:
    at: float  # Unix seconds
    words: str


@dataclass(frozen=True)
class End:
    """A process that the campaign ended or froze, or that died."""

    at: float
    pid: int
    name: str
    how: str


@dataclass(frozen=True)
class Trouble:
    """A fault, from its beginning to its end."""

    name: str
    part: str
    began: float
    ended: float


@dataclass
class Journal:
    events: list[Event] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    flushes: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # faults that could not be injected
    deaths: int = 0
    _lock: Lock = field(default_factory=Lock)

    def note(self, words: str) -> None:
        with self._lock:
            self.events.append(Event(time.time(), words))

    def note_end(self, pid: int, name: str, how: str) -> None:
        with self._lock:
            self.ends.append(End(time.time(), pid, name, how))
            self.events.append(Event(time.time(), f"{name} (process {pid}): {how}"))

    def note_flush(self) -> None:
        with self._lock:
            self.flushes.append(time.time())
            self.events.append(Event(time.time(), "Redis lost all data"))

    def note_trouble(self, trouble: Trouble) -> None:
        with self._lock:
            self.troubles.append(trouble)
