"""What the campaign did to the system, and when. Explains recoveries and repeated calls."""

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Any


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


@dataclass(frozen=True)
class Edit:
    """A change of settings while everything runs."""

    began: float
    ended: float  # then it was stored
    what: str  # windows, members, pool or outage
    slug: str  # of the limit, vendor or credential, or the name of a key
    now: Any  # what it was set to


@dataclass
class Journal:
    events: list[Event] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    flushes: list[float] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # faults that could not be injected
    bulk_findings: list[tuple[str, str]] = field(default_factory=list)  # a job and what is wrong
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

    def note_edit(self, edit: Edit) -> None:
        with self._lock:
            self.edits.append(edit)
            words = f"{edit.what} of {edit.slug} set to {edit.now}"
            self.events.append(Event(edit.ended, words))
