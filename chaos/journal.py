"""What was done to the system and when: the campaign's own record, that recoveries and repeated
calls are explained by.
"""

import time
from dataclasses import dataclass, field
from threading import Lock


@dataclass(frozen=True)
class Event:
    at: float  # unix seconds
    words: str


@dataclass(frozen=True)
class End:
    """A process that was ended or frozen by us, or that died."""

    at: float
    pid: int
    name: str
    how: str


@dataclass(frozen=True)
class Trouble:
    """A fault from its beginning to its end."""

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
    failures: list[str] = field(default_factory=list)  # of the campaign's own faults
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
            self.events.append(Event(time.time(), "Redis lost everything"))

    def note_trouble(self, trouble: Trouble) -> None:
        with self._lock:
            self.troubles.append(trouble)
